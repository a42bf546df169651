"""How the tables keep up with their schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from uuid import UUID

from catalog import connectors
from catalog.models import Table
from catalog.schedules import Every, Schedule
from catalog.services import timing

_LONGEST_GRACE = timedelta(hours=1)


class Keeping(StrEnum):
    """How a table keeps up with its schedule."""

    ON_TIME = "on time"
    BEHIND = "one run behind"
    FAR_BEHIND = "further behind"
    UNSCHEDULED = "without a schedule, or paused"
    NEVER = "never extracted"


@dataclass(frozen=True)
class Kept:
    """How one table keeps up; ``missed`` is for how many of its intervals it was not renewed."""

    table_id: UUID
    keeping: Keeping
    missed: float


@dataclass(frozen=True)
class _Limits:
    """Since when a table of a schedule must have succeeded."""

    on_time: datetime
    behind: datetime
    step: timedelta


def keeping(now: datetime) -> list[Kept]:
    """Return how all tables with copies keep up; one query."""
    rows = Table.objects.with_copies().values_list(
        "pk", "sync_schedule", "source__schedule", "query_mode", "last_success_at",
        "source__source_type", "is_paused", "source__is_paused", "is_pinned",
    )  # fmt: skip
    limits_of = _limits_at(now)
    found = []
    for pk, own, of_source, mode, succeeded_at, kind, *rests in rows.iterator(chunk_size=2000):
        waits = any(rests) or connectors.is_foreign(kind)
        limits = None if waits else limits_of(timing.schedule_text(own, of_source, mode))
        found.append(_kept(pk, limits, succeeded_at, now))
    return found


def _kept(pk: UUID, limits: _Limits | None, succeeded_at: datetime | None, now: datetime) -> Kept:
    if succeeded_at is None:
        return Kept(pk, Keeping.NEVER, 0)
    if limits is None:
        return Kept(pk, Keeping.UNSCHEDULED, 0)
    missed = (now - succeeded_at) / limits.step
    if succeeded_at >= limits.on_time:
        return Kept(pk, Keeping.ON_TIME, missed)
    is_near = succeeded_at >= limits.behind
    return Kept(pk, Keeping.BEHIND if is_near else Keeping.FAR_BEHIND, missed)


def _limits_at(now: datetime) -> Callable[[str], _Limits | None]:
    @cache
    def limits(text: str) -> _Limits | None:
        schedule = timing.schedule_of(text)
        return _limits(schedule, now) if schedule else None

    return limits


def _limits(schedule: Schedule, now: datetime) -> _Limits:
    """Return the limits, with some grace for the run that is due just now."""
    if isinstance(schedule, Every):
        step = max(schedule.interval, timedelta(minutes=1))
        return _Limits(now - 1.5 * step, now - 2.5 * step, step)
    newest = schedule.most_recent_slot(now)
    before = timing.slot_before(schedule, newest)
    step = newest - before
    if now - newest < min(step / 2, _LONGEST_GRACE):
        newest, before = before, timing.slot_before(schedule, before)
    return _Limits(newest, before, step)
