"""Claimed runs in the hands of a worker: kept alive, told about, ended, given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from agnes_site.core.errors import AgnesError
from agnes_site.core.heartbeat import beating
from extracts.models import LOG_LIMIT, Run, RunState
from extracts.services.runs import ring

_PAUSE_SECONDS = 0.5
logger = structlog.get_logger(__name__)


class Holding:
    """A claimed run in the hands of this worker: keeps its lease and writes its progress."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._lost = threading.Event()
        self.is_over = False
        self._written_at: float | None = None
        self._unwritten: dict[str, Any] = {}

    @property
    def is_lost(self) -> bool:
        """Whether another worker has taken over, or the run may publish nothing any more."""
        return self._lost.is_set()

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, message: str = ""
    ) -> None:
        """Show how far the work is; written at most twice a second."""
        if phase != self.run.phase:
            self.note(message or phase)
        self.run.phase, self.run.done, self.run.total = phase, done, total
        self._unwritten |= {
            "phase": phase[:40], "done": done, "total": total, "message": message[:500],
        }  # fmt: skip
        self.tell()

    def note(self, line: str) -> None:
        """Add a line to the log of the run, which keeps its beginning and its newest lines."""
        stamp = timezone.now().strftime("%H:%M:%S")
        self.run.log = _bounded(f"{self.run.log}{stamp} {line}\n")
        self._unwritten["log"] = self.run.log
        self.tell()

    def tell(self) -> None:
        """Write what is not written yet, unless something was just before.

        What takes less than half a second is told at its end only.
        """
        now = time.monotonic()
        if self._written_at is None:
            self._written_at = now
        if self._unwritten and now - self._written_at >= _PAUSE_SECONDS:
            self._written_at = now
            self._write()

    def _write(self) -> None:
        if self._unwritten:
            self._mine().update(**self._unwritten)
        self._unwritten = {}

    def beat(self) -> bool:
        """Say that this worker is alive; return false when the run is no longer its own.

        Nor is it when its table was changed in a way that other rows are wanted now.
        """
        until = timezone.now() + timedelta(seconds=settings.CONFIG.run_lease_seconds)
        may_publish = Q(table=None) | Q(table__fencing=F("fencing"))
        if not self._mine().filter(may_publish).update(lease_until=until):
            self.lose()
        return not self.is_lost

    def lose(self) -> None:
        """Do nothing more of the run that others could notice."""
        self._lost.set()

    def put_back(self) -> bool:
        """Queue the run again if it is still ours, and say whether it was.

        It cannot publish, since its table was changed or rolled back under it; the next one to
        claim it sees the table as it is now.
        """
        self._write()
        waiting = self._mine().update(
            state=RunState.QUEUED, lease_until=None, worker="", phase="", done=0, total=None,
            message="", attempt=F("attempt") - 1,
        )  # fmt: skip
        if waiting:
            ring([self.run.pk])
        return bool(waiting)

    def _mine(self) -> QuerySet[Run]:
        return Run.objects.filter(
            pk=self.run.pk, state=RunState.RUNNING, fencing=self.run.fencing,
            attempt=self.run.attempt,
        )  # fmt: skip

    def finish(self, state: RunState, **fields: object) -> bool:
        """End the run if it is still ours, and say whether it was."""
        self._unwritten |= {"phase": "", "message": ""}
        ended = self._mine().update(
            state=state, finished_at=timezone.now(), lease_until=None, **self._unwritten, **fields
        )
        self._unwritten, self.is_over = {}, True
        with suppress(Run.DoesNotExist):  # it went with its table
            self.run.refresh_from_db()
        return bool(ended)

    def requeue(self) -> bool:
        """Let any worker have the run if it is still ours, and say whether it was."""
        self._write()
        return bool(self._mine().update(state=RunState.QUEUED, lease_until=None, phase=""))

    def let_go(self) -> bool:
        """Put the run back into the queue as if nobody had claimed it; say whether it was ours."""
        self.lose()
        queued = {
            "state": RunState.QUEUED, "lease_until": None, "worker": "", "started_at": None,
            "phase": "", "attempt": F("attempt") - 1,
        }  # fmt: skip
        return bool(self._mine().update(**queued))


@contextmanager
def hold(*claimed: Run) -> Iterator[list[Holding]]:
    """Keep claimed runs alive while the block works on them."""
    holdings = [Holding(run) for run in claimed]

    def beat() -> bool:
        kept = [holding for holding in holdings if not holding.is_lost and holding.beat()]
        return bool(kept)

    with beating(beat, every_seconds=settings.CONFIG.run_lease_seconds / 4):
        yield holdings


def fail(holding: Holding, error: AgnesError) -> None:
    """End a run that failed, with what a person needs to know."""
    holding.note(f"Failed: {error.message}")
    holding.finish(
        RunState.FAILED,
        error_code=error.code,
        error_message=error.message,
        error_hint=error.hint,
    )
    logger.warning("Run failed", run=str(holding.run.pk), code=error.code)


def give_back(holding: Holding) -> bool:
    """Let a run that could not go on be taken up again from its start.

    Return false where it was tried too often already.
    """
    if holding.run.attempt >= settings.CONFIG.run_attempts:
        return False
    holding.note("The database failed; it is tried again.")
    if holding.requeue():
        ring([holding.run.pk])
    return True


def _bounded(log: str) -> str:
    if len(log) <= LOG_LIMIT:
        return log
    half = LOG_LIMIT // 2
    return f"{log[:half]}\n…\n{log[-half:]}"
