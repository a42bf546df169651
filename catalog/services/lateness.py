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

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    F,
    Min,
    QuerySet,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from catalog import connectors
from catalog.models import Table
from catalog.schedules import Every, Schedule
from catalog.services import timing

_LONGEST_GRACE = timedelta(hours=1)
# So many of each schedule are named.
_NAMED = 10


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
    """How many tables keep up in which way, and who is furthest behind of each schedule."""

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
    asked: dict[tuple[Any, ...], _Limits] = {}
    tables = Table.objects.with_copies().order_by()
    for *shared, count, succeeded, oldest in tables.values_list(*_SHARED).annotate(
        Count("pk"), Count("last_success_at"), Min("last_success_at")
    ):
        limits = _limits_of(shared, limits_at)
        counts[Keeping.NEVER] += count - succeeded
        counts[Keeping.UNSCHEDULED if limits is None else Keeping.ON_TIME] += succeeded
        if limits and oldest and oldest < limits.on_time:
            asked[tuple(shared)] = limits
    if not asked:
        return Kept(counts=counts, late=[])
    late = []
    for pk, at, place, behind, far, *shared in _furthest_behind(tables, asked):
        limits = asked[tuple(shared)]
        kept = Keeping.BEHIND if at >= limits.behind else Keeping.FAR_BEHIND
        late.append(Late(pk, kept, (now - at) / limits.step))
        if place == 1:
            counts[Keeping.FAR_BEHIND] += far
            counts[Keeping.BEHIND] += behind - far
            counts[Keeping.ON_TIME] -= behind
    return Kept(counts=counts, late=late)


def _furthest_behind(
    tables: QuerySet[Table], asked: Mapping[tuple[Any, ...], _Limits]
) -> QuerySet[Table, Any]:
    """Return those of each schedule, with how many there are and how many are far behind."""
    share = [F(name) for name in _SHARED]
    is_far = Case(When(last_success_at__lt=_of_each(asked, "behind"), then=1), default=0)
    return (
        tables.filter(last_success_at__lt=_of_each(asked, "on_time"))
        .annotate(
            place=Window(RowNumber(), partition_by=share, order_by="last_success_at"),
            behind=Window(Count("pk"), partition_by=share),
            far=Window(Sum(is_far), partition_by=share),
        )
        .filter(place__lte=_NAMED)
        .values_list("pk", "last_success_at", "place", "behind", "far", *_SHARED)
    )


def _of_each(asked: Mapping[tuple[Any, ...], _Limits], limit: str) -> Case:
    """Return that limit of each table; nothing for those that share no limits."""
    cases = [
        When(**dict(zip(_SHARED, shared, strict=True)), then=Value(getattr(limits, limit)))
        for shared, limits in asked.items()
    ]
    return Case(*cases, output_field=DateTimeField())


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
