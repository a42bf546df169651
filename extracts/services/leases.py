"""Leases: the right to work on something that is not a run, until a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from agnes_site.core.errors import ConflictError
from agnes_site.core.heartbeat import beating
from extracts.models import Lease
from extracts.services.runs import worker_name


class LeaseTakenError(ConflictError):
    """Somebody else is working on it."""

    code = "lease_taken"
    hint = "Try again in a moment."


@contextmanager
def lease(name: str, *, wait_seconds: float = 0) -> Iterator[Lease]:
    """Hold the lease ``name`` while the block runs.

    It is kept by a heartbeat: when this process is killed, it is free after a moment.

    Raises:
        LeaseTakenError: somebody else still held it after ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    while not _take(name):
        if time.monotonic() >= deadline:
            raise LeaseTakenError(f"{name} is being worked on.")
        time.sleep(0.1)
    held = Lease.objects.get(name=name)
    try:
        with beating(lambda: _keep(held), every_seconds=settings.CONFIG.run_lease_seconds / 4):
            yield held
    finally:
        Lease.objects.filter(name=name, fencing=held.fencing).update(until=timezone.now())


def _take(name: str) -> bool:
    now = timezone.now()
    taken = {"holder": worker_name(), "until": _end()}
    if Lease.objects.filter(name=name, until__lte=now).update(fencing=F("fencing") + 1, **taken):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, **taken)
    except IntegrityError:
        return False
    return True


def _keep(held: Lease) -> bool:
    return bool(Lease.objects.filter(pk=held.pk, fencing=held.fencing).update(until=_end()))


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.CONFIG.run_lease_seconds)
