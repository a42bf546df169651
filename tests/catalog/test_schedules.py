"""What a schedule means: its slots, when it is due, its words."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import schedules
from catalog.schedules import ScheduleInvalidError

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)  # a Saturday
ZONES = ["UTC", "Europe/Prague", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_behind(schedule: schedules.Schedule, success: datetime, now: datetime) -> bool:
    """Say whether a slot has come since a success from which intervals are counted."""
    return success < schedule.most_recent_slot(now, anchor=success)


def _fields() -> st.SearchStrategy[str]:
    minute = st.one_of(st.just("*"), st.just("*/15"), st.integers(0, 59).map(str))
    hour = st.one_of(st.just("*"), st.just("*/6"), st.just("1-3"), st.integers(0, 23).map(str))
    day = st.one_of(st.just("*"), st.just("L"), st.integers(1, 28).map(str))
    month = st.one_of(st.just("*"), st.integers(1, 12).map(str))
    weekday = st.one_of(st.just("*"), st.just("1-5"), st.just("SUN"))
    return st.tuples(minute, hour, day, month, weekday).map(" ".join)


def _written() -> st.SearchStrategy[str]:
    every = st.builds("every {}{}".format, st.integers(0, 8000), st.sampled_from("mh"))
    time = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
    daily = st.lists(time, min_size=1, max_size=4).map(lambda times: f"daily {','.join(times)}")
    cron = st.builds("cron {} {}".format, _fields(), st.sampled_from(ZONES))
    return st.one_of(every, daily, cron)


# Around the days on which clocks are put forward or back, and any other.
_MOMENTS = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 (a zone is added)
    st.datetimes(datetime(2026, 3, 28, 23), datetime(2026, 3, 29, 5)),  # noqa: DTZ001 (the same)
    st.datetimes(datetime(2026, 10, 24, 23), datetime(2026, 10, 25, 5)),  # noqa: DTZ001 (the same)
    st.datetimes(datetime(2026, 11, 1, 3), datetime(2026, 11, 1, 9)),  # noqa: DTZ001 (the same)
).map(lambda moment: moment.replace(tzinfo=UTC))


class TestSlots:
    @given(_written(), _MOMENTS)
    @settings(max_examples=300)
    def test_now_is_between_the_most_recent_one_and_the_next(self, text, now):
        schedule = schedules.parse(text)

        recent, coming = schedule.most_recent_slot(now), schedule.next_slot(now)

        assert recent <= now < coming
        assert (recent.tzinfo, coming.tzinfo) == (UTC, UTC)

    @given(_written().filter(lambda text: not text.startswith("every")), _MOMENTS)
    @settings(max_examples=300)
    def test_there_is_none_between_one_and_the_next(self, text, now):
        schedule = schedules.parse(text)

        coming = schedule.next_slot(now)

        assert schedule.next_slot(schedule.most_recent_slot(now)) == coming
        assert schedule.most_recent_slot(coming) == coming
        assert schedule.most_recent_slot(coming - timedelta(microseconds=1)) <= now

    @given(_written(), _MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)))
    @settings(max_examples=200)
    def test_a_success_now_is_not_due_and_stays_so_until_the_next_one(self, text, success, passed):
        schedule = schedules.parse(text)
        coming = schedule.next_slot(success, anchor=success)

        assert not _is_behind(schedule, success, success)
        assert _is_behind(schedule, success, coming)
        assert _is_behind(schedule, success, success + passed) == (success + passed >= coming)

    def test_of_an_interval_are_counted_from_the_last_success(self):
        schedule = schedules.parse("every 6h")

        assert not _is_behind(schedule, NOW - timedelta(hours=5, minutes=59), NOW)
        assert _is_behind(schedule, NOW - timedelta(hours=6), NOW)

    def test_of_a_missed_evening_are_caught_up_after_midnight(self):
        schedule = schedules.parse("daily 07:00,23:00")

        assert _is_behind(schedule, _at("2026-11-20T07:05:00Z"), _at("2026-11-21T00:30:00Z"))

    def test_a_success_exactly_at_one_is_done(self):
        schedule = schedules.parse("daily 07:00")

        assert not _is_behind(schedule, _at("2026-11-21T07:00:00Z"), NOW)
        assert _is_behind(schedule, _at("2026-11-21T06:59:59Z"), NOW)

    @pytest.mark.parametrize("text", ["every 6h", "daily 12:00", "cron 0 12 * * *"])
    def test_a_success_in_the_future_is_not_due(self, text):
        schedule = schedules.parse(text)

        assert not _is_behind(schedule, NOW + timedelta(days=3), NOW)

    def test_of_nothing_as_interval_come_each_minute(self):
        schedule = schedules.parse("every 0m")

        assert _is_behind(schedule, NOW - timedelta(seconds=1), NOW)
        assert schedule.next_slot(NOW) == NOW + timedelta(minutes=1)


class TestCron:
    @pytest.mark.parametrize(
        ("text", "before", "slots"),
        [
            (  # 02:30 is left out: it comes right after the jump
                "cron 30 2 * * * Europe/Prague", "2026-03-28T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            (  # 02:30 comes twice: the first counts
                "cron 30 2 * * * Europe/Prague", "2026-10-24T12:00:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            (
                "cron 30 2 * * * America/New_York", "2026-03-07T12:00:00Z",
                ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
            ),
            (
                "cron 30 1 * * * America/New_York", "2026-10-31T12:00:00Z",
                ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
            ),
            (  # an hourly one goes on as the hours do
                "cron 0 * * * * Europe/Prague", "2026-10-25T00:00:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
            ),
            (
                "cron 0 7 * * 1-5 Europe/Prague", "2026-11-21T12:00:00Z",
                ["2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"],
            ),
        ],
    )  # fmt: skip
    def test_keeps_to_the_clock_of_its_zone(self, text, before, slots):
        schedule = schedules.parse(text)
        first = schedule.next_slot(_at(before))

        assert [first, schedule.next_slot(first)] == [_at(slot) for slot in slots]
        assert schedule.most_recent_slot(_at(slots[1])) == _at(slots[1])

    def test_in_the_hour_that_comes_twice_the_slot_is_behind(self):
        schedule = schedules.parse("cron 30 2 * * * Europe/Prague")
        second_ten_past = _at("2026-10-25T01:10:00Z")

        assert second_ten_past.astimezone(ZoneInfo("Europe/Prague")).hour == 2
        assert schedule.most_recent_slot(second_ten_past) == _at("2026-10-25T00:30:00Z")
        assert schedule.next_slot(second_ten_past) == _at("2026-10-26T01:30:00Z")

    def test_is_read_in_utc_without_a_zone(self):
        assert schedules.parse("cron 0 7 * * *").next_slot(NOW) == _at("2026-11-22T07:00:00Z")


class TestParse:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("hourly", "not a schedule"),
            ("* * * * *", "not a schedule"),
            ("every 6", "not a schedule"),
            ("every -6h", "not a schedule"),
            ("every  6h", "not a schedule"),
            ("every ٦h", "not a schedule"),
            ("every 6h\n", "not a schedule"),
            ("every 999999999h", "longer than a year"),
            ("daily 7:00", "not a schedule"),
            ("daily 24:00", "not a schedule"),
            ("daily 07:00, 19:30", "not a schedule"),
            ("cron 0 7 * *", "five fields"),
            ("cron 0 0 7 * * 1 UTC", "five fields"),
            ("cron 61 7 * * *", "minute"),
            ("cron 0 7 * * FUNDAY", "day-of-week"),
            ("cron 0 0 30 2 *", "day-of-month"),
            ("cron 0 0 */30 2 MON#2", "never comes"),
            ("cron 0 7 * * * Europe/Prag", "the nearest one is Europe/Prague"),
            ("cron 0 7 * * * ../../etc/passwd", "no time zone"),
            ("cron 0 7 * * * Europe", "no time zone"),
        ],
    )
    def test_says_what_is_not_understood(self, text, told):
        with pytest.raises(ScheduleInvalidError, match=told) as caught:
            schedules.parse(text)

        assert caught.value.hint

    @given(st.text(max_size=100).map("cron {}".format))
    def test_of_anything_is_a_schedule_or_an_error_that_says_so(self, text):
        with suppress(ScheduleInvalidError):
            schedules.parse(text)

    def test_of_nothing_is_none(self):
        assert schedules.checked("") == ""


class TestDescribe:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("every 1m", "Every minute"),
            ("every 15m", "Every 15 minutes"),
            ("every 90m", "Every 90 minutes"),
            ("every 60m", "Every hour"),
            ("every 6h", "Every 6 hours"),
            ("every 0h", "As often as possible, at most once a minute"),
            ("daily 07:00", "Every day at 07:00 UTC"),
            ("daily 19:30,07:00", "Every day at 07:00 and 19:30 UTC"),
            ("daily 19:30,07:00,12:15", "Every day at 07:00, 12:15 and 19:30 UTC"),
            (
                "cron 0 7 * * 1-5 Europe/Prague",
                "At 07:00 on Monday through Friday, Europe/Prague time",
            ),
            ("cron 0 0 L * *", "At 00:00 on the last day of every month, UTC"),
        ],
    )
    def test_is_a_sentence(self, text, words):
        assert schedules.parse(text).describe() == words

    def test_upcoming_slots_are_given_by_the_clock_of_the_zone(self):
        coming = schedules.upcoming(schedules.parse("cron 0 7 * * 1-5 Europe/Prague"), now=NOW)

        assert [slot.isoformat() for slot in coming] == [
            "2026-11-23T07:00:00+01:00", "2026-11-24T07:00:00+01:00", "2026-11-25T07:00:00+01:00",
        ]  # fmt: skip
