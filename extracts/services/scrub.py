"""Scrub: all stored files are read again and again, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from agnes_site.core.failpoints import failpoint
from catalog.models import TablePart, TableVersion
from extracts.engine.rot import Soundness
from extracts.models import ScrubRound
from extracts.services import damage

_KEPT_ROUNDS = 10
_AT_ONCE = 100
# A small store is not read the whole day long.
_LEAST_TIME = timedelta(days=1)


def go_on(*, now: datetime, most_bytes: int) -> ScrubRound | None:
    """Read on in the round that is under way until ``most_bytes`` are read, or begin one.

    Returns ``None`` while the last round is fresh. Needs the lease `scrub`.
    """
    damage.review_all()
    newest = ScrubRound.objects.first()
    if newest is not None and newest.finished_at is not None:
        if newest.started_at > now - _LEAST_TIME:
            return None
        newest = None
    found = newest or ScrubRound.objects.create()
    _read(found, most_bytes=most_bytes)
    return found


def read_all(*, on_progress: Callable[[ScrubRound], None]) -> ScrubRound:
    """Read every stored file now, in a round of its own. Needs the lease `scrub`."""
    damage.review_all()
    ScrubRound.objects.filter(finished_at=None).delete()
    found = ScrubRound.objects.create()
    while found.finished_at is None:
        _read(found, most_bytes=1 << 30)
        on_progress(found)
    return found


def last_finished() -> ScrubRound | None:
    """Return the last round that came to its end."""
    return ScrubRound.objects.exclude(finished_at=None).first()


def _read(going: ScrubRound, *, most_bytes: int) -> None:
    limit = going.bytes + most_bytes
    while going.bytes < limit:
        batch = _next(going.position)
        if not batch:
            going.finished_at = timezone.now()
            going.save()
            old = ScrubRound.objects.values_list("pk", flat=True)[_KEPT_ROUNDS:]
            ScrubRound.objects.filter(pk__in=list(old)).delete()
            return
        for sha256 in batch:
            found = damage.check(sha256)
            going.position = sha256
            going.files += 1
            going.bytes += found.bytes
            going.bad_files += found.soundness != Soundness.WHOLE
            if going.bytes >= limit:
                break
        going.save()
        failpoint("scrub.read")


def _next(position: str) -> list[str]:
    """Return the first stored files after ``position`` that versions name, in their order."""
    parts = TablePart.objects.filter(sha256__gt=position).order_by("sha256")
    combined = TableVersion.objects.filter(combined_sha256__gt=position).order_by("combined_sha256")
    found = {
        *parts.values_list("sha256", flat=True).distinct()[:_AT_ONCE],
        *combined.values_list("combined_sha256", flat=True).distinct()[:_AT_ONCE],
    }
    return sorted(sha256 for sha256 in found if sha256)[:_AT_ONCE]
