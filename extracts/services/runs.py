"""Runs: asked for, claimed, kept alive, finished, taken up again.

The row is the truth. A queued task is only a bell: when it is lost, rung twice, or its worker
is killed, the sweeper finds the row and rings again.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from kombu.exceptions import ChannelError
from kombu.exceptions import OperationalError as QueueError

from access.models import User
from access.services import audit
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.heartbeat import beating
from catalog.models import Source, Table
from catalog.services.versions import take_fencing, take_fencings
from extracts.models import LOG_LIMIT, Run, RunKind, RunState, RunTrigger
from extracts.models.moments import is_over

TASK = "extracts.tasks.execute_run"
_TRIES = 5
_AT_ONCE = 200
# Runs that one worker does together.
_TOGETHER = 50
_PAUSE_SECONDS = 0.5
# A bell counts as lost when this many sweeps have come and gone since.
_FRESH_SWEEPS = 4
logger = structlog.get_logger(__name__)


class RunNotClaimedError(ConflictError):
    """Somebody else works on the run, it is over, or its source is busy."""

    code = "run_not_claimed"


class RunFinishedError(ConflictError):
    """The run is over already."""

    code = "run_finished"


class LeaseLostError(ConflictError):
    """The run was taken over or cancelled while this worker was silent."""

    code = "lease_lost"
    hint = "Nothing is lost: the worker that took over finishes it."


def request_run(
    *,
    by: User | None,
    table: Table | None = None,
    source: Source | None = None,
    kind: RunKind = RunKind.EXTRACT,
    trigger: RunTrigger = RunTrigger.MANUAL,
    is_full: bool = False,
) -> tuple[Run, bool]:
    """Ask for a run; return it and whether it is new.

    With ``is_full`` an incremental table is read in full, as if for the first time.
    What is queued or running already is returned: single flight; one that still waits becomes
    full where that is asked for. The task is sent after the commit.
    """
    owner = table.source if table is not None else source
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                run = Run.objects.create(
                    table=table,
                    source=owner,
                    kind=kind,
                    trigger=trigger,
                    requested_by=by,
                    is_full=is_full,
                )
                if by is not None:
                    audit.record(action=f"run.{kind}", resource=_subject(run), actor=by)
        except IntegrityError:
            found = Run.objects.open().filter(table=table, source=owner, kind=kind).first()
            if found is not None:
                _join(found, by=by, is_full=is_full)
                return found, False
            # It has ended between the two statements: now there is room for another.
            if not tries_left:
                raise
        else:
            break
    ring([run.pk])
    return run, True


@transaction.atomic
def request_tables(source: Source, tables: Iterable[Table], *, trigger: RunTrigger) -> None:
    """Ask for the extract of tables of a source, for nobody in particular.

    What is queued or running already stays as it is. As many are rung for as may run at once;
    these take the others along or ring for them.
    """
    wanted = [
        Run(table=table, source=source, kind=RunKind.EXTRACT, trigger=trigger) for table in tables
    ]
    Run.objects.bulk_create(wanted, ignore_conflicts=True)
    ring_next(source)


def _join(run: Run, *, by: User | None, is_full: bool) -> None:
    """Let a run that nobody has begun be what is asked for now as well."""
    run.is_full = run.is_full or is_full
    run.requested_by = run.requested_by or by
    waiting = Run.objects.filter(pk=run.pk, state=RunState.QUEUED)
    if not waiting.update(is_full=run.is_full, requested_by=run.requested_by):
        run.refresh_from_db()


def ring(run_ids: Iterable[UUID]) -> None:
    """Send the tasks of these runs once the present transaction is committed."""
    ids = list(run_ids)
    if not ids:
        return
    Run.objects.filter(pk__in=ids).update(rung_at=timezone.now())

    def send() -> None:
        failpoint("run.requested")
        try:
            for run_id in ids:
                current_app.send_task(TASK, kwargs={"run_id": str(run_id)}, queue="runs")
        except (QueueError, ChannelError, OSError):
            # The rows are there: the sweeper rings for them once the queue answers again.
            logger.exception("The queue takes no task", runs=len(ids))

    transaction.on_commit(send)


@transaction.atomic
def claim(run_id: UUID, *, worker: str) -> Run:
    """Take a queued run, or one whose worker fell silent, for this worker.

    The fencing number of its table is counted up, so that whoever held it before can no
    longer publish.

    Raises:
        RunNotClaimedError: another worker has it, it is over, or its source is busy.
    """
    now = timezone.now()
    free = Q(state=RunState.QUEUED) | (is_over("lease_until", now) & Q(state=RunState.RUNNING))
    run = Run.objects.select_for_update().filter(free, pk=run_id).first()
    if run is None:
        raise RunNotClaimedError("The run is worked on elsewhere, or over.")
    # The table is locked before its source, as a publish does.
    fencing = take_fencing(run.table_id) if run.table_id else run.fencing + 1
    if run.source_id is not None and run.table_id is not None:
        # Locked, so that two workers do not both take the last place.
        source = Source.objects.select_for_update().get(pk=run.source_id)
        busy = Run.objects.filter(
            source=source, table__isnull=False, state=RunState.RUNNING, lease_until__gte=now
        ).exclude(pk=run.pk)
        # What one worker has taken along, it does one after the other.
        if busy.values("worker").distinct().count() >= source.concurrency:
            raise RunNotClaimedError("The source is busy; the run stays queued.")
    claimed = Run.objects.filter(free, pk=run_id).update(
        **_claimed(now, worker), fencing=fencing, started_at=run.started_at or now
    )
    if not claimed:
        raise RunNotClaimedError("The run was taken by another worker.")
    return _whole([run_id])[0]


@transaction.atomic
def claim_along(run: Run) -> list[Run]:
    """Take what waits and can be done together with a claimed run; return it, the oldest first.

    That is the extract of other tables of its source, or the rebuild of other sources. What was
    tried before goes alone: it may be what ends workers.
    """
    alike = Run.objects.filter(state=RunState.QUEUED, kind=run.kind, attempt=0)
    if run.attempt > 1 or run.source_id is None:
        return []
    if run.table_id is not None:
        alike = alike.filter(source=run.source_id, table__isnull=False)
    elif run.kind == RunKind.REBUILD:
        alike = alike.filter(source__isnull=False, table__isnull=True)
    else:
        return []
    waiting = alike.select_for_update(skip_locked=True).order_by("queued_at")[:_TOGETHER]
    tables = {each.pk: each.table_id for each in waiting}
    if not tables:
        return []
    now = timezone.now()
    numbers = take_fencings(table for table in tables.values() if table is not None)
    of_table = Table.objects.filter(pk=OuterRef("table")).values("fencing")
    Run.objects.filter(pk__in=tables, state=RunState.QUEUED).update(
        **_claimed(now, run.worker),
        fencing=Subquery(of_table) if numbers else F("fencing") + 1,
        started_at=now,
    )
    return _whole(list(tables))


def _claimed(now: datetime, worker: str) -> dict[str, Any]:
    return {
        "state": RunState.RUNNING,
        "lease_until": now + timedelta(seconds=settings.CONFIG.run_lease_seconds),
        "worker": worker,
        "rung_at": None,
        "attempt": F("attempt") + 1,
        "phase": "starting",
        "done": 0,
        "total": None,
        "message": "",
    }


def _whole(ids: Sequence[UUID]) -> list[Run]:
    found = Run.objects.select_related(
        "table__source", "table__folder", "table__current_version", "source"
    ).in_bulk(ids)
    return [found[each] for each in ids if each in found]


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

    def check(self) -> None:
        """Go on only while the run is ours.

        Raises:
            LeaseLostError: it no longer is.
        """
        if self.is_lost:
            raise LeaseLostError("The run was taken over or cancelled, or its table changed.")

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, message: str = ""
    ) -> None:
        """Show how far the work is; written at most twice a second."""
        if phase != self.run.phase:
            self.note(message or phase)
        self.run.phase = phase
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
            self._lost.set()
        return not self.is_lost

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
        self._lost.set()
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


@transaction.atomic
def cancel(*, run: Run, by: User | None) -> None:
    """End a run; a worker that is on it stops within seconds and publishes nothing.

    Raises:
        RunFinishedError: it is over already.
    """
    ended = (
        Run.objects.open()
        .filter(pk=run.pk)
        .update(state=RunState.CANCELLED, finished_at=timezone.now(), lease_until=None)
    )
    if not ended:
        raise RunFinishedError("The run is over already.")
    if run.table_id is not None:
        take_fencing(run.table_id)
    audit.record(action="run.cancel", resource=_subject(run), actor=by)
    run.refresh_from_db()


def sweep() -> int:
    """Ring for every run that nobody works on; return how many were found.

    A run whose worker fell silent too often ends as failed: its work kills workers.
    """
    now = timezone.now()
    worn_out = Run.objects.abandoned().filter(attempt__gte=settings.CONFIG.run_attempts)
    worn_out.update(
        state=RunState.FAILED, finished_at=now, lease_until=None, error_code="worker_lost",
        error_message="The worker was lost each time this run was tried.",
        error_hint="Look into the worker's log for what ends it; memory is the usual reason.",
    )  # fmt: skip
    found = [*_abandoned(now), *_unheard(now)]
    ring(found)
    return len(found)


def _abandoned(now: datetime) -> list[UUID]:
    """Return the runs whose worker fell silent, unless they were rung for since."""
    stale = now - _FRESH_SWEEPS * timedelta(seconds=settings.CONFIG.run_sweep_seconds)
    silent = Run.objects.abandoned().filter(Q(rung_at=None) | is_over("rung_at", stale))
    return list(silent.order_by("queued_at").values_list("pk", flat=True)[:_AT_ONCE])


def _unheard(now: datetime) -> list[UUID]:
    """Return the queued runs whose bell was lost, only as many of a source as may run at once.

    Those of a source that is busy are rung for when one of its runs ends.
    """
    stale = now - _FRESH_SWEEPS * timedelta(seconds=settings.CONFIG.run_sweep_seconds)
    running = Q(runs__state=RunState.RUNNING, runs__lease_until__gte=now, runs__table__isnull=False)
    at_work = Count("runs__worker", distinct=True, filter=running)
    queued = Source.objects.filter(runs__state=RunState.QUEUED).values("pk").distinct()
    counted = Source.objects.filter(pk__in=queued).annotate(at_work=at_work)
    places = {
        pk: total - taken
        for pk, total, taken in counted.values_list("pk", "concurrency", "at_work")
    }
    busy = [pk for pk, free in places.items() if free <= 0]
    waiting = Run.objects.filter(
        is_over("rung_at", stale) | Q(rung_at=None) & is_over("queued_at", stale),
        state=RunState.QUEUED,
    ).exclude(source__in=busy, table__isnull=False)
    found = []
    for pk, source, table in waiting.order_by("queued_at").values_list("pk", "source", "table"):
        if table is not None:
            places[source] -= 1
            if places[source] < 0:
                continue
        found.append(pk)
        if len(found) == _AT_ONCE:
            break
    return found


def ring_next(source: Source | None) -> None:
    """Ring for the runs that waited for their source to be less busy."""
    if source is None:
        return
    waiting = Run.objects.filter(source=source, state=RunState.QUEUED).order_by("queued_at")
    ring(waiting.values_list("pk", flat=True)[: source.concurrency])


def worker_name() -> str:
    """Return how this worker is named in runs."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _bounded(log: str) -> str:
    if len(log) <= LOG_LIMIT:
        return log
    half = LOG_LIMIT // 2
    return f"{log[:half]}\n…\n{log[-half:]}"


def _subject(run: Run) -> str:
    if run.table is not None:
        return f"table/{run.table.name}"
    return f"source/{run.source.slug}" if run.source is not None else "everything"
