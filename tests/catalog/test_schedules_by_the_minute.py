"""Schedules against somebody who looks at the clock on the wall each minute."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import schedules

MINUTE = timedelta(minutes=1)
ZONES = ["UTC", "Europe/Prague", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
# Days around which clocks change, each in one of these zones, and one like any other.
DAYS = [
    date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 7, 1), date(2026, 10, 4),
    date(2026, 10, 25), date(2026, 11, 1), date(2024, 2, 28), date(2026, 12, 31),
]  # fmt: skip
WEEKDAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


def _listed(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


class Wanted:
    """What a schedule asks for: some times of the day, on some days, by the clock of a zone."""

    def __init__(self, minutes, hours, weekdays, zone) -> None:
        self.times = sorted(time(hour, minute) for hour in hours for minute in minutes)
        self.weekdays, self.zone = weekdays, ZoneInfo(zone)
        days = ",".join(WEEKDAYS[day] for day in sorted(weekdays)) if weekdays else "*"
        self.text = f"cron {_listed(minutes)} {_listed(hours)} * * {days} {zone}"

    def slots(self, start: datetime, days: int) -> list[datetime]:
        """Return when the clock on the wall first shows each of the times, or is beyond it."""
        minutes = [start + number * MINUTE for number in range(days * 24 * 60)]
        by_day: dict[date, list[tuple[time, datetime]]] = {}
        for moment in minutes:
            shown = moment.astimezone(self.zone)
            by_day.setdefault(shown.date(), []).append((shown.time(), moment))
        found = set()
        for day, shown in by_day.items():
            if self.weekdays and day.weekday() not in self.weekdays:
                continue
            for wanted in self.times:
                found |= {next((at for clock, at in shown if clock >= wanted), start)}
        return sorted(found)


_WANTED = st.builds(
    Wanted,
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23), min_size=1, max_size=4),
    st.sets(st.integers(0, 6), max_size=3),
    st.sampled_from(ZONES),
)


def _between(text: str, start: datetime, end: datetime) -> Iterator[datetime]:
    coming = schedules.parse(text).next_slots(start)
    return takewhile(lambda slot: slot < end, coming)


@given(_WANTED, st.sampled_from(DAYS))
@settings(max_examples=60)
def test_slots_come_when_the_clock_on_the_wall_says_so(wanted, day):
    start = datetime.combine(day, time(), UTC) - timedelta(days=2)
    # The first and the last day of a zone are not whole here.
    first, last = start + timedelta(days=1), start + timedelta(days=4)
    expected = [slot for slot in wanted.slots(start, 5) if first < slot < last]

    assert list(_between(wanted.text, first, last)) == expected
    for slot in expected:
        schedule = schedules.parse(wanted.text)
        assert schedule.most_recent_slot(slot) == slot
        assert schedule.next_slot(slot - MINUTE) == slot


@given(
    _WANTED,
    st.sampled_from(DAYS),
    st.lists(st.tuples(st.integers(0, 4300), st.integers(1, 2000)), max_size=4),
)
@settings(max_examples=15)
def test_what_was_missed_is_done_once_as_soon_as_somebody_looks(wanted, day, outages):
    """Somebody looks each minute, except while they are away, and does what is due."""
    start = datetime.combine(day, time(), UTC) - timedelta(days=1)
    away = {minute for begin, length in outages for minute in range(begin, begin + length)}
    schedule = schedules.parse(wanted.text)
    slots = list(_between(wanted.text, start, start + timedelta(days=3)))
    success, done = start, []
    looks = [start + n * MINUTE for n in range(3 * 24 * 60) if n not in away]

    for now in looks:
        if success < schedule.most_recent_slot(now, anchor=success):
            done.append(now)
            success = now

    places = (bisect_left(looks, slot) for slot in slots)
    assert done == sorted({looks[place] for place in places if place < len(looks)})
