"""Leases: the right to work on something that is not a run, until a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from agnes_site.core.errors import ConflictError
from extracts.models import Lease
from extracts.services.runs import worker_name


class LeaseTakenError(ConflictError):
    """Somebody else is working on it."""

    code = "lease_taken"
    hint = "Try again in a moment."


@contextmanager
def lease(name: str, *, seconds: float, wait_seconds: float = 0) -> Iterator[Lease]:
    """Hold the lease ``name`` while the block runs, for at most ``seconds``.

    Raises:
        LeaseTakenError: somebody else still held it after ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    while not _take(name, seconds):
        if time.monotonic() >= deadline:
            raise LeaseTakenError(f"{name} is being worked on.")
        time.sleep(0.1)
    held = Lease.objects.get(name=name)
    try:
        yield held
    finally:
        Lease.objects.filter(name=name, fencing=held.fencing).update(until=timezone.now())


def is_ours(held: Lease) -> bool:
    """Say whether a lease is still in the hands of who took it."""
    return Lease.objects.filter(
        name=held.name, fencing=held.fencing, until__gt=timezone.now()
    ).exists()


def _take(name: str, seconds: float) -> bool:
    now = timezone.now()
    taken = {"holder": worker_name(), "until": now + timedelta(seconds=seconds)}
    if Lease.objects.filter(name=name, until__lte=now).update(fencing=F("fencing") + 1, **taken):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, **taken)
    except IntegrityError:
        return False
    return True
