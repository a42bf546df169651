"""Leases: the right to work on something that is not a run, until a time.

Who was silent for longer than that is not alone any more, and has to ask before each step that
others see.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agnes_site.core.errors import ConflictError
from agnes_site.core.heartbeat import beating
from extracts.models import Lease
from extracts.models.moments import is_over
from extracts.services.runs import worker_name


class LeaseTakenError(ConflictError):
    """Somebody else is working on it."""

    code = "lease_taken"
    hint = "Try again in a moment."


class Held:
    """Leases in the hands of this process."""

    def __init__(self, names: frozenset[str], holder: str) -> None:
        self.names = names
        self.holder = holder
        self._kept_at = _clock()

    def keep(self) -> bool:
        """Move the leases on; return false when there is none any more."""
        now = _clock()
        mine = Lease.objects.filter(name__in=self.names, holder=self.holder)
        kept = mine.update(until=_end())
        if kept == len(self.names):
            self._kept_at = now
        return bool(kept)

    def ours(self) -> frozenset[str]:
        """Return those that nobody else has taken over.

        Inside of a transaction nobody can before it ends.
        """
        mine = Lease.objects.filter(name__in=self.names, holder=self.holder).order_by("name")
        if transaction.get_connection().in_atomic_block:
            mine = mine.select_for_update()
        return frozenset(mine.values_list("name", flat=True))

    def check(self, name: str) -> None:
        """Go on only while nobody else has taken over the lease ``name``.

        Asks the database only where there was time for that since the leases were moved on.

        Raises:
            LeaseTakenError: somebody has.
        """
        if _clock() - self._kept_at < settings.CONFIG.run_lease_seconds / 2:
            return
        if not Lease.objects.filter(name=name, holder=self.holder).exists():
            raise LeaseTakenError(f"{name} was taken over while this process was silent.")


@contextmanager
def lease(name: str, *, wait_seconds: float = 0) -> Iterator[Held]:
    """Hold the lease ``name`` while the block runs.

    It is kept by a heartbeat: when this process is killed, it is free after a moment.

    Raises:
        LeaseTakenError: somebody else still held it after ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        with leases([name]) as held:
            if held.names:
                yield held
                return
        if time.monotonic() >= deadline:
            raise LeaseTakenError(f"{name} is being worked on.")
        time.sleep(0.1)


@contextmanager
def leases(names: Collection[str]) -> Iterator[Held]:
    """Hold those of several leases that are free, while the block runs."""
    # What this holder writes is its own: a process may hold leases for more than one reason.
    holder = f"{worker_name()}:{uuid.uuid4().hex}"
    held = Held(_take(names, holder), holder)
    if not held.names:
        yield held
        return
    try:
        with beating(held.keep, every_seconds=settings.CONFIG.run_lease_seconds / 4):
            yield held
    finally:
        mine = Lease.objects.filter(name__in=held.names, holder=holder)
        mine.update(until=timezone.now())


@transaction.atomic
def _take(names: Collection[str], holder: str) -> frozenset[str]:
    now = timezone.now()
    # Locked in one order: two who take several wait for each other instead of for ever.
    wanted = Lease.objects.filter(name__in=names).order_by("name")
    known = set(wanted.select_for_update().values_list("name", flat=True))
    free = Lease.objects.filter(is_over("until", now), name__in=names)
    free.update(fencing=F("fencing") + 1, holder=holder, until=_end())
    Lease.objects.bulk_create(
        [Lease(name=name, holder=holder, until=_end()) for name in sorted(set(names) - known)],
        ignore_conflicts=True,
    )
    return frozenset(
        Lease.objects.filter(name__in=names, holder=holder).values_list("name", flat=True)
    )


def _clock() -> float:
    """Return a time that goes on while this process is stopped or the machine is asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.CONFIG.run_lease_seconds)
