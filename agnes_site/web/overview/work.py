"""What the runs did: day by day, and which take longest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Case, Count, F, IntegerField, Q, Sum, Value, When, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils.safestring import SafeString

from agnes_site.core import charts, human, markup
from agnes_site.core.charts import Column
from agnes_site.core.markup import Tone
from catalog.models import Table
from extracts.models import Run, RunOutcome, RunState

_DAYS = 14
_DAY = timedelta(days=1)
# So many runs are looked at for the slowest, however many there were in the day.
_LOOKED_AT = 2000
_SLOWEST = 5
_TREND = 20
_KEPT_SECONDS = 600
_Times = tuple[UUID | None, datetime | None, datetime | None]


@dataclass(frozen=True, kw_only=True)
class Day:
    """What runs did on one day; rows and bytes are those of new versions."""

    day: date
    succeeded: int = 0
    failed: int = 0
    rows: int = 0
    bytes: int = 0


def days(now: datetime) -> list[Day]:
    """Return the last two weeks, today last; the days before today are some minutes old."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight - _DAY * back for back in reversed(range(_DAYS))]
    past: Any = cache.get_or_set(
        f"overview-days-before-{midnight:%Y-%m-%d}",
        lambda: _counted(starts[:-1], until=midnight),
        _KEPT_SECONDS,
    )
    return [*past, *_counted([midnight], until=None)]


def _counted(starts: Sequence[datetime], *, until: datetime | None) -> list[Day]:
    """Count the runs of the days that begin at ``starts``; one query."""
    which = Case(
        *(
            When(queued_at__gte=start, then=Value(at))
            for at, start in reversed([*enumerate(starts)])
        ),
        output_field=IntegerField(),
    )
    new = ~Q(outcome__in=(RunOutcome.SAME, RunOutcome.UNREAD))
    ended = Run.objects.filter(
        queued_at__gte=starts[0], state__in=(RunState.SUCCEEDED, RunState.FAILED)
    )
    if until is not None:
        ended = ended.filter(queued_at__lt=until)
    found = (
        ended.order_by()
        .annotate(which=which)
        .values("which")
        .annotate(
            succeeded=Count("pk", filter=Q(state=RunState.SUCCEEDED)),
            failed=Count("pk", filter=Q(state=RunState.FAILED)),
            row_sum=Sum("rows", filter=new),
            byte_sum=Sum("bytes", filter=new),
        )
    )
    by_day = {each["which"]: each for each in found}
    return [_day(start.date(), by_day.get(at)) for at, start in enumerate(starts)]


def runs_card(found: Sequence[Day]) -> SafeString:
    """Return how many runs succeeded and failed on each day."""
    failed = sum(day.failed for day in found)
    total = failed + sum(day.succeeded for day in found)
    sums_up = f"{human.plural(total, 'run')} in two weeks, {human.number(failed)} failed"
    drawn = charts.columns(
        [
            Column(
                name=_named(day.day),
                parts=[(Tone.GOOD, day.succeeded), (Tone.BAD, day.failed)],
                says=f"{human.number(day.succeeded)} succeeded, {human.number(day.failed)} failed",
            )
            for day in found
        ],
        sums_up=sums_up,
    )
    aside = markup.link(reverse("admin:extracts_run_changelist"), "All runs")
    return markup.card("Runs", drawn, aside=aside)


def volume_card(found: Sequence[Day]) -> SafeString:
    """Return how much runs brought on each day."""
    rows, size = sum(day.rows for day in found), sum(day.bytes for day in found)
    drawn = charts.columns(
        [
            Column(
                name=_named(day.day),
                parts=[(Tone.BUSY, day.bytes)],
                says=f"{human.plural(day.rows, 'row')}, {human.size(day.bytes)}",
            )
            for day in found
        ],
        sums_up=f"New versions of {human.plural(rows, 'row')} and {human.size(size)} in two weeks",
    )
    return markup.card("Volume brought in", drawn)


def slowest_card(now: datetime) -> SafeString | str:
    """Return which tables took longest in the last day, and how that went before."""
    runs = _newest(now)
    took = _longest(runs)
    names = dict(Table.objects.filter(pk__in=took).values_list("pk", "name"))
    before = _before(list(took), now)
    slowest = max(took.values(), default=0)
    rows = [
        [
            markup.link(reverse("admin:catalog_table_change", args=[pk]), names[pk]),
            human.duration(seconds),
            charts.level(seconds, slowest, tone=Tone.PLAIN),
            charts.trend(before[pk], says=_says(before[pk])),
        ]
        for pk, seconds in took.items()
        if pk in names
    ]
    if not rows:
        return ""
    headers = ["Table", "Longest run", "", "The runs before"]
    is_cut = len(runs) == _LOOKED_AT
    span = f"of the newest {human.plural(_LOOKED_AT, 'run')}" if is_cut else "in the last day"
    return markup.card(f"Slowest {span}", markup.grid(headers, rows))


def _newest(now: datetime) -> list[_Times]:
    """Return the table, the start and the end of the newest runs of the last day."""
    newest = (
        Run.objects.filter(queued_at__gte=now - _DAY, state=RunState.SUCCEEDED, table__isnull=False)
        .order_by("-queued_at")
        .values_list("table_id", "started_at", "finished_at")
    )
    return list(newest[:_LOOKED_AT])


def _longest(runs: Sequence[_Times]) -> dict[UUID, float]:
    longest: dict[UUID, float] = {}
    for pk, started, finished in runs:
        if pk and started and finished:
            longest[pk] = max(longest.get(pk, 0), (finished - started).total_seconds())
    ordered = sorted(longest.items(), key=lambda item: -item[1])
    return dict(ordered[:_SLOWEST])


def _before(tables: Sequence[UUID], now: datetime) -> Mapping[UUID, list[float]]:
    place = Window(RowNumber(), partition_by=F("table"), order_by=F("queued_at").desc())
    found = (
        Run.objects.filter(
            table__in=tables, state=RunState.SUCCEEDED, queued_at__gte=now - _DAYS * _DAY
        )
        .annotate(place=place)
        .filter(place__lte=_TREND)
        .order_by("queued_at")
        .values_list("table_id", "started_at", "finished_at")
    )
    seconds: dict[UUID, list[float]] = defaultdict(list)
    for pk, started, finished in found:
        if pk and started and finished:
            seconds[pk].append((finished - started).total_seconds())
    return seconds


def _says(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    return f"from {human.duration(seconds[0])} to {human.duration(seconds[-1])}"


def _named(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _day(day: date, found: Mapping[str, Any] | None) -> Day:
    if found is None:
        return Day(day=day)
    return Day(
        day=day, succeeded=found["succeeded"], failed=found["failed"],
        rows=found["row_sum"] or 0, bytes=found["byte_sum"] or 0,
    )  # fmt: skip
