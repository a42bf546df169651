"""Schedules: `every 15m`, `daily 07:00,19:30` (UTC), `cron 0 7 * * 1-5 Europe/Prague`.

A schedule is a row of slots, moments from which on something is due. Those of an interval are
counted from an anchor, so that `every 6h` is six hours after the last time, not at 06:00; those
of the others stand in the calendar.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from agnes_site.core.errors import InvalidInputError

_EVERY = re.compile(r"every ([0-9]{1,9})([mh])")
_DAILY = re.compile(r"daily ((?:[01][0-9]|2[0-3]):[0-5][0-9](?:,(?:[01][0-9]|2[0-3]):[0-5][0-9])*)")
_LONGEST = timedelta(days=366)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Clocks are put forward and back by less than this.
_CLOCK_CHANGE = timedelta(hours=3)


class ScheduleInvalidError(InvalidInputError):
    """The schedule is not understood."""

    code = "schedule_invalid"
    hint = (
        "Write `every 15m`, `every 6h`, `daily 07:00,19:30` (UTC) or "
        "`cron 0 7 * * 1-5 Europe/Prague`."
    )


class Schedule(ABC):
    """When something is due. All moments have a time zone; slots are given in UTC."""

    @abstractmethod
    def most_recent_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the newest slot that is not after ``now``."""

    @abstractmethod
    def next_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the first slot after ``now``."""

    @abstractmethod
    def describe(self) -> str:
        """Return a sentence that says what it means, without its full stop."""

    @property
    def zone(self) -> str:
        """The time zone in which it is written."""
        return "UTC"

    def next_slots(self, now: datetime) -> Iterator[datetime]:
        """Yield the slots after ``now``, if the last one was now."""
        slot = now
        while True:
            slot = self.next_slot(slot, anchor=now)
            yield slot


@dataclass(frozen=True)
class Every(Schedule):
    """A slot each time the interval has passed; an interval of nothing is each minute."""

    interval: timedelta

    def most_recent_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the newest slot that is not after ``now``, counted from ``anchor``."""
        if not self.interval:
            return now.astimezone(UTC).replace(second=0, microsecond=0)
        start = (anchor or _EPOCH).astimezone(UTC)
        return start + (now - start) // self.interval * self.interval

    def next_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the first slot after ``now``, counted from ``anchor``."""
        step = self.interval or timedelta(minutes=1)
        return self.most_recent_slot(now, anchor=anchor) + step

    def describe(self) -> str:
        """Return how often that is."""
        minutes = int(self.interval.total_seconds()) // 60
        if not minutes:
            return "As often as possible, at most once a minute"
        count, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
        return f"Every {unit}" if count == 1 else f"Every {count:,} {unit}s"


class _Calendar(Schedule):
    """A schedule whose slots are the same whatever happened before."""

    @abstractmethod
    def _from(self, moment: datetime) -> Iterator[datetime]:
        """Yield slots in order, beginning with one near to and not after ``moment``'s first."""

    @abstractmethod
    def _back_from(self, moment: datetime) -> Iterator[datetime]:
        """Yield slots backwards, beginning with one near to and not before ``moment``'s last."""

    def most_recent_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the newest slot that is not after ``now``."""
        return next(slot for slot in self._back_from(now) if slot <= now)

    def next_slot(self, now: datetime, *, anchor: datetime | None = None) -> datetime:
        """Return the first slot after ``now``."""
        return next(slot for slot in self._from(now) if slot > now)


@dataclass(frozen=True)
class Daily(_Calendar):
    """A slot at each of these times of the day, which are sorted, in UTC."""

    times: tuple[tuple[int, int], ...]

    def _from(self, moment: datetime) -> Iterator[datetime]:
        midnight = _midnight(moment)
        for day in range(2):
            yield from self._of(midnight + timedelta(days=day))

    def _back_from(self, moment: datetime) -> Iterator[datetime]:
        midnight = _midnight(moment)
        for day in range(2):
            yield from reversed(list(self._of(midnight - timedelta(days=day))))

    def _of(self, midnight: datetime) -> Iterator[datetime]:
        return (midnight.replace(hour=hour, minute=minute) for hour, minute in self.times)

    def describe(self) -> str:
        """Return at which times that is."""
        times = [f"{hour:02}:{minute:02}" for hour, minute in self.times]
        listed = " and ".join(filter(None, [", ".join(times[:-1]), times[-1]]))
        return f"Every day at {listed} UTC"


@dataclass(frozen=True)
class Cron(_Calendar):
    """Five fields as cron knows them, read by the clock of a time zone.

    Where that clock jumps forward, a slot that it leaves out comes right after the jump; what
    comes twice where it goes back is one slot, the first.
    """

    fields: str
    zone_name: str

    @property
    def zone(self) -> str:
        """The time zone in which it is written."""
        return self.zone_name

    def _from(self, moment: datetime) -> Iterator[datetime]:
        return self._slots(moment - _CLOCK_CHANGE, reverse=False)

    def _back_from(self, moment: datetime) -> Iterator[datetime]:
        return self._slots(moment + _CLOCK_CHANGE, reverse=True)

    def _slots(self, start: datetime, *, reverse: bool) -> Iterator[datetime]:
        local = start.astimezone(_zone(self.zone_name))
        return (slot.astimezone(UTC) for slot in CronSim(self.fields, local, reverse=reverse))

    def describe(self) -> str:
        """Return cronsim's words for the fields, and whose clock is meant."""
        words = CronSim(self.fields, _EPOCH).explain()
        return f"{words}, {'UTC' if self.zone_name == 'UTC' else f'{self.zone_name} time'}"


def checked(text: str) -> str:
    """Return a schedule as it is, if it is understood; empty means none.

    Raises:
        ScheduleInvalidError: it is not.
    """
    if text:
        parse(text)
    return text


@lru_cache(maxsize=1024)
def parse(text: str) -> Schedule:
    """Return what a schedule means.

    Raises:
        ScheduleInvalidError: it is not understood; the message says what of it.
    """
    if found := _EVERY.fullmatch(text):
        return _every(text, int(found[1]), found[2])
    if found := _DAILY.fullmatch(text):
        times = {(int(time[:2]), int(time[3:])) for time in found[1].split(",")}
        return Daily(tuple(sorted(times)))
    if text.startswith("cron "):
        return _cron(text)
    raise ScheduleInvalidError(f"{text!r} is not a schedule.")


def upcoming(schedule: Schedule, *, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next slots, by the clock of the schedule's time zone."""
    local = _zone(schedule.zone)
    slots = islice(schedule.next_slots(now), count)
    return [slot.replace(microsecond=0).astimezone(local) for slot in slots]


def _every(text: str, number: int, unit: str) -> Every:
    minutes = number * (60 if unit == "h" else 1)
    if minutes > _LONGEST.total_seconds() / 60:
        raise ScheduleInvalidError(f"{text!r} is longer than a year.")
    return Every(timedelta(minutes=minutes))


def _cron(text: str) -> Cron:
    words = text.split()[1:]
    if len(words) not in (5, 6):
        raise ScheduleInvalidError(
            f"{text!r} needs five fields (minute, hour, day, month, weekday) and may name a time "
            "zone after them."
        )
    zone_name = words[5] if len(words) == 6 else "UTC"
    try:
        _zone(zone_name)
        cron = Cron(" ".join(words[:5]), zone_name)
        cron.describe()
        next(cron._from(_EPOCH))
    except CronSimError as error:
        said = str(error).replace("Bad ", "")
        raise ScheduleInvalidError(f"The {said} of {text!r} is not understood.") from None
    except StopIteration:
        raise ScheduleInvalidError(f"{text!r} never comes.") from None
    return cron


@cache
def _zone(name: str) -> ZoneInfo | timezone:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.6)
        nearest = f"; the nearest one is {near[0]}" if near else ""
        raise ScheduleInvalidError(
            f"There is no time zone {name!r}{nearest}.",
            hint="Write a name such as `Europe/Prague`, or none for UTC.",
        ) from None


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
