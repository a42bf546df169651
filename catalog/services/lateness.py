"""How the tables keep up with their schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import Count, Min

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
class Late:
    """A table that is behind; ``missed`` is for how many of its intervals it was not renewed."""

    table_id: UUID
    keeping: Keeping
    missed: float


@dataclass(frozen=True)
class Kept:
    """How many tables keep up in which way, and those that are behind."""

    counts: Mapping[Keeping, int]
    late: Sequence[Late]


@dataclass(frozen=True)
class _Limits:
    """Since when a table of a schedule must have succeeded."""

    on_time: datetime
    behind: datetime
    step: timedelta


# Tables that share these have the same limits.
_SHARED = (
    "sync_schedule", "source__schedule", "query_mode", "source__source_type", "is_paused",
    "source__is_paused", "is_pinned",
)  # fmt: skip


def keeping(now: datetime) -> Kept:
    """Return how all tables with copies keep up; two queries, the second for those behind."""
    limits_at = _limits_at(now)
    counts: Counter[Keeping] = Counter()
    on_time_since = None
    tables = Table.objects.with_copies()
    for *shared, count, succeeded, oldest in (
        tables.order_by()
        .values_list(*_SHARED)
        .annotate(Count("pk"), Count("last_success_at"), Min("last_success_at"))
    ):
        limits = _limits_of(shared, limits_at)
        counts[Keeping.NEVER] += count - succeeded
        counts[Keeping.UNSCHEDULED if limits is None else Keeping.ON_TIME] += succeeded
        if limits and oldest and oldest < limits.on_time:
            on_time_since = max(limits.on_time, on_time_since or limits.on_time)
    late = []
    if on_time_since:
        rows = tables.filter(last_success_at__lt=on_time_since).order_by()
        for pk, at, *shared in rows.values_list("pk", "last_success_at", *_SHARED):
            limits = _limits_of(shared, limits_at)
            if limits and at < limits.on_time:
                kept = Keeping.BEHIND if at >= limits.behind else Keeping.FAR_BEHIND
                late.append(Late(pk, kept, (now - at) / limits.step))
                counts[kept] += 1
                counts[Keeping.ON_TIME] -= 1
    return Kept(counts=counts, late=late)


def _limits_of(shared: Sequence[Any], limits_at: Callable[[str], _Limits | None]) -> _Limits | None:
    """Return the limits of tables, or ``None`` where nothing is asked of them."""
    own, of_source, mode, source_type, *rests = shared
    if any(rests) or connectors.is_foreign(source_type):
        return None
    return limits_at(timing.schedule_text(own, of_source, mode))


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
