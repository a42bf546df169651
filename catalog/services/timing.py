"""When the tables run next: whose schedule counts, which slot is due, how starts are spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet

from agnes_site.core.errors import ConfigurationError
from catalog import connectors, schedules
from catalog.connectors import QueryMode
from catalog.models import Source, Table
from catalog.schedules import Every, Schedule, ScheduleInvalidError

_ROW = (
    "pk", "source_id", "query_mode", "sync_schedule", "source__schedule", "registered_at",
    "last_success_at", "slot_at", "retry_at",
)  # fmt: skip
_NOBODY = UUID(int=0)
# Another try is planned a day ahead at most, and a little more.
_LONGEST_AHEAD = timedelta(days=2)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Due:
    """A table that is to run now: for a slot of its schedule, or for another try of the last."""

    table_id: UUID
    source_id: UUID
    slot: datetime
    is_retry: bool = False


@dataclass(frozen=True)
class Upkeep:
    """What of a table says when it runs; the fields are columns of the registry."""

    table_id: UUID
    source_id: UUID
    query_mode: str
    own: str
    of_source: str
    registered_at: datetime
    last_success_at: datetime | None
    slot_at: datetime | None
    retry_at: datetime | None

    @property
    def schedule(self) -> Schedule | None:
        """The schedule in force: its own, that of its source, or the default of its kind."""
        return schedule_of(schedule_text(self.own, self.of_source, self.query_mode))

    def due(self, now: datetime) -> Due | None:
        """Return what is to run at ``now``, if anything is."""
        schedule = self.schedule
        if schedule is None:
            return None
        if self._is_ahead(now):
            return self._believable(now).due(now)
        slot = _newest_slot(schedule, now, self._anchor)
        if now < self._start(schedule, slot):
            slot = slot_before(schedule, slot)
        if self._is_open(slot):
            return Due(self.table_id, self.source_id, slot)
        if self.retry_at is not None and self.retry_at <= now:
            return Due(self.table_id, self.source_id, self.retry_at, is_retry=True)
        return None

    def next_at(self, now: datetime) -> datetime | None:
        """Return when it runs next, ``now`` if it is due; none without a schedule."""
        schedule = self.schedule
        if schedule is None:
            return None
        if self.due(now) is not None:
            return now
        if self._is_ahead(now):
            return self._believable(now).next_at(now)
        slot = _newest_slot(schedule, now, self._anchor)
        if not self._is_open(slot):
            slot = schedule.next_slot(max(now, self._anchor), anchor=self._anchor)
        planned = self._start(schedule, slot)
        return min(planned, self.retry_at) if self.retry_at else planned

    def _is_ahead(self, now: datetime) -> bool:
        times = (self.registered_at, self.last_success_at, self.slot_at, self.retry_at)
        return any(each is not None and each > now + _LONGEST_AHEAD for each in times)

    def _believable(self, now: datetime) -> Upkeep:
        """Return it without the times that it has from a clock that was ahead by days."""

        def past(moment: datetime | None) -> datetime | None:
            return None if moment is None or moment > now + _LONGEST_AHEAD else moment

        return replace(
            self, registered_at=past(self.registered_at) or now, slot_at=past(self.slot_at),
            last_success_at=past(self.last_success_at), retry_at=past(self.retry_at),
        )  # fmt: skip

    @property
    def _anchor(self) -> datetime:
        return self.slot_at or self.registered_at

    def _is_open(self, slot: datetime) -> bool:
        """Say whether nobody has tried a slot, and no success has come after it."""
        is_tried = self.slot_at is not None and slot <= self.slot_at
        is_met = self.last_success_at is not None and self.last_success_at >= slot
        return not (is_tried or is_met)

    def _start(self, schedule: Schedule, slot: datetime) -> datetime:
        """Return when this table begins with a slot: a little later, and always as much."""
        if self.slot_at is None:
            return slot
        step = schedule.interval if isinstance(schedule, Every) else _step(schedule, slot)
        longest = timedelta(seconds=settings.CONFIG.schedule_spread_seconds)
        return slot + min(step / 10, longest) * share(self.table_id)


def share(table_id: UUID) -> float:
    """Return the place of a table among all others, from 0 to 1, which never changes."""
    return (table_id.int & 0xFFFF_FFFF) / 2**32


def schedule_text(own: str, of_source: str, query_mode: str) -> str:
    """Return the schedule in force as it is written; empty if there is none."""
    default = settings.CONFIG.default_schedule if query_mode == QueryMode.MATERIALIZED else ""
    return own or of_source or default


def check_default() -> None:
    """See that the configured default is a schedule.

    Raises:
        ConfigurationError: it is not.
    """
    try:
        schedules.checked(settings.CONFIG.default_schedule)
    except ScheduleInvalidError as error:
        raise ConfigurationError(
            f"AGNES_DEFAULT_SYNC_SCHEDULE (runs.default_schedule) cannot be used: {error.message}",
            hint=error.hint,
        ) from None


def due_tables(now: datetime) -> Iterator[Due]:
    """Yield what is to run at ``now``, of all tables that run by themselves; one query."""
    for row in scheduled().values_list(*_ROW).iterator(chunk_size=2000):
        if (due := Upkeep(*row).due(now)) is not None:
            yield due


def scheduled() -> QuerySet[Table]:
    """Limit to the tables that may run by themselves, if a schedule says when."""
    foreign = [name for name, each in connectors.installed().items() if each.is_foreign]
    return Table.objects.with_copies().filter(
        is_paused=False, is_pinned=False, source__is_paused=False
    ).exclude(source__source_type__in=foreign)  # fmt: skip


def next_runs(tables: Iterable[Table], *, now: datetime) -> Mapping[UUID, datetime | None]:
    """Return when each of these tables runs next; one query for all of them."""
    wanted = [table.pk for table in tables]
    rows = scheduled().filter(pk__in=wanted).values_list(*_ROW)
    return {row[0]: Upkeep(*row).next_at(now) for row in rows}


def next_run_of_sources(sources: Iterable[Source], *, now: datetime) -> Mapping[UUID, datetime]:
    """Return when the first table of each of these sources runs; one query, one row a schedule."""
    tables = scheduled().filter(source__in=[source.pk for source in sources]).order_by()
    grouped = tables.values("source_id", "query_mode", "sync_schedule", "source__schedule")
    found: dict[UUID, datetime] = {}
    for row in grouped.annotate(
        oldest=Min("slot_at"), retry=Min("retry_at"), first=Min("registered_at"),
        new=Count("pk", filter=Q(slot_at=None)),
    ):  # fmt: skip
        earliest = Upkeep(
            _NOBODY, row["source_id"], row["query_mode"], row["sync_schedule"],
            row["source__schedule"], row["first"], None, None if row["new"] else row["oldest"],
            row["retry"],
        ).next_at(now)  # fmt: skip
        if earliest is not None:
            found[row["source_id"]] = min(earliest, found.get(row["source_id"], earliest))
    return found


def meaning(text: str) -> str:
    """Return a sentence that says what a schedule means; empty without one."""
    schedule = schedule_of(text)
    return f"{schedule.describe()}." if schedule else ""


@lru_cache(maxsize=1024)
def schedule_of(text: str) -> Schedule | None:
    """Return what a schedule means; nothing for none, or one that is not understood."""
    try:
        return schedules.parse(text) if text else None
    except ScheduleInvalidError as error:
        # Written past the services; it waits for a person instead of running at every tick.
        logger.warning("A schedule is not understood", schedule=text, error=error.message)
        return None


def _newest_slot(schedule: Schedule, now: datetime, anchor: datetime) -> datetime:
    if isinstance(schedule, Every):
        return schedule.most_recent_slot(now, anchor=anchor)
    return _newest_in_calendar(schedule, now)


@lru_cache(maxsize=1024)
def _newest_in_calendar(schedule: Schedule, now: datetime) -> datetime:
    return schedule.most_recent_slot(now)


def slot_before(schedule: Schedule, slot: datetime) -> datetime:
    """Return the slot before another one."""
    if isinstance(schedule, Every):
        return slot - schedule.interval
    return _newest_in_calendar(schedule, slot - timedelta(microseconds=1))


@lru_cache(maxsize=1024)
def _step(schedule: Schedule, slot: datetime) -> timedelta:
    return schedule.next_slot(slot) - slot
