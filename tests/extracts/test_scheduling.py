"""Schedules kept: what is due, once a slot, spread, tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Barrier, Thread

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agnes_site.core.errors import InvalidInputError, UpstreamError
from agnes_site.core.storage import StorageFailedError, StorageFullError
from catalog.models import Source, Table
from catalog.services import timing
from extracts import tasks
from extracts.engine.process import ChildCrashedError
from extracts.models import Run, RunState, RunTrigger
from extracts.services import extraction, runs, scheduling
from extracts.services.holding import fail, hold
from tests.factories import SourceFactory, TableFactory

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def rung(monkeypatch) -> list[str]:
    """The runs whose task was sent; there is no worker in these tests."""
    sent: list[str] = []
    monkeypatch.setattr(
        runs.current_app, "send_task", lambda name, kwargs, **rest: sent.append(kwargs["run_id"])
    )
    return sent


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def _table(schedule: str = "", *, last: datetime | None = None, **fields) -> Table:
    table = TableFactory(sync_schedule=schedule, **fields)
    Table.objects.filter(pk=table.pk).update(
        registered_at=START - timedelta(days=30), last_success_at=last, slot_at=last
    )
    table.refresh_from_db()
    return table


def _due(now: datetime = START) -> list[str]:
    return sorted(run.table.name for run in scheduling.start_due(now=now))


def _end(run: Run, error=None) -> Run:
    """Let a worker take a run and bring it to its end."""
    claimed = runs.claim(run.pk, worker="test")
    with hold(claimed) as (holding,):
        if error is None:
            holding.finish(RunState.SUCCEEDED)
            scheduling.record_success(claimed)
        else:
            scheduling.record_failure(claimed, error)
            fail(holding, error)
    return Run.objects.get(pk=run.pk)


def _next(table: Table, now: datetime) -> datetime | None:
    return timing.next_runs([table], now=now).get(table.pk)


@pytest.mark.django_db
class TestStartDue:
    def test_takes_the_schedule_of_the_table_or_else_of_its_source(self):
        hourly = SourceFactory(schedule="every 1h")
        two_hours_ago = START - timedelta(hours=2)
        _table(name="own_says_later", schedule="every 6h", last=two_hours_ago, source=hourly)
        _table(name="of_source", last=two_hours_ago, source=hourly)
        _table(name="without_any", last=two_hours_ago)

        assert _due() == ["of_source"]

    def test_falls_back_to_the_default_for_materialized_tables_only(self, settings):
        settings.CONFIG = settings.CONFIG.model_copy(update={"default_schedule": "every 1h"})
        _table(name="local_one")
        _table(name="result", query_mode="materialized", source_query="SELECT 1")

        assert _due() == ["result"]

    def test_leaves_out_what_does_not_run_by_itself(self):
        every_minute = {"schedule": "every 1m", "last": START - timedelta(hours=1)}
        _table(name="due", **every_minute)
        _table(name="paused", is_paused=True, **every_minute)
        _table(name="of_paused", source=SourceFactory(is_paused=True), **every_minute)
        _table(name="pinned", is_pinned=True, **every_minute)
        _table(name="looked_up", query_mode="remote", **every_minute)
        _table(name="foreign", source=SourceFactory(source_type="external"), **every_minute)

        assert _due() == ["due"]

    def test_is_what_the_clock_asks_for(self):
        table = _table(name="new", schedule="daily 07:00", last=START - timedelta(days=1))

        tasks.start_due()

        assert Run.objects.get().table == table

    def test_starts_what_never_succeeded_at_once(self):
        _table(name="new", schedule="daily 18:00")

        assert _due() == ["new"]

    def test_catches_up_on_a_slot_that_nobody_was_there_for(self):
        _table(name="missed", schedule="daily 07:00", last=START - timedelta(days=9))

        (run,) = scheduling.start_due(now=START)

        assert (run.trigger, run.due_at.isoformat()) == (
            RunTrigger.SCHEDULE, "2026-11-21T07:00:00+00:00",
        )  # fmt: skip

    def test_is_quiet_after_a_success_until_the_next_slot(self, clock):
        _table(name="hourly", schedule="every 1h")
        (run,) = scheduling.start_due(now=START)
        _end(run)
        begun = run.due_at

        assert _due(begun + timedelta(minutes=59)) == []
        assert _due(begun + timedelta(hours=1, minutes=6)) == ["hourly"]

    def test_counts_an_interval_from_a_run_by_hand(self, clock):
        table = _table(schedule="every 1h", last=START - timedelta(minutes=50))
        _end(runs.request_run(table=table, by=None)[0])

        assert _due(START + timedelta(minutes=20)) == []
        assert _due(START + timedelta(minutes=66)) == [table.name]

    def test_does_not_drift_with_the_time_that_runs_wait(self, clock):
        table = _table(schedule="every 10m", last=START)
        slots = []
        for minutes in range(60):
            clock.move_to(START + timedelta(minutes=minutes, seconds=17))
            for run in scheduling.start_due(now=datetime.now(UTC)):
                slots.append(run.due_at)
                clock.shift(timedelta(seconds=40))
                _end(run)

        assert [(slot - START).total_seconds() / 60 for slot in slots] == [10, 20, 30, 40, 50]
        assert slots[0] < Table.objects.get(pk=table.pk).last_success_at

    @pytest.mark.hostile(50)
    def test_waits_for_the_clock_that_was_put_back(self, clock):
        table = _table(schedule="every 1h", last=START)
        clock.move_to(START - timedelta(days=2))

        assert _due(START - timedelta(days=2)) == []
        assert _next(table, START - timedelta(days=2)) >= START + timedelta(hours=1)

    def test_does_not_run_a_slot_twice_when_the_clock_is_put_back(self, clock):
        _table(name="nightly", schedule="daily 07:00", last=START - timedelta(days=1))
        (run,) = scheduling.start_due(now=START)
        _end(run, InvalidInputError("No such file."))
        clock.move_to(START - timedelta(hours=1))

        assert _due(START - timedelta(hours=1)) == []

    def test_leaves_a_run_that_is_open_alone(self):
        table = _table(schedule="every 1m", last=START - timedelta(hours=1))
        runs.request_run(table=table, by=None)

        assert _due() == []
        assert Run.objects.count() == 1

    def test_rings_for_as_many_of_a_source_as_may_run_at_once(
        self, rung, django_capture_on_commit_callbacks
    ):
        source = SourceFactory(schedule="every 1h", concurrency=2)
        for _ in range(5):
            _table(source=source)
        _table(schedule="every 1h")

        with django_capture_on_commit_callbacks(execute=True):
            assert len(_due()) == 6

        assert len(rung) == 3

    def test_asks_as_often_as_it_can_for_no_interval_at_all(self, clock):
        _table(name="eager", schedule="every 0m", last=START - timedelta(minutes=1))

        _end(scheduling.start_due(now=START)[0])
        assert _due(START + timedelta(seconds=30)) == []
        assert _due(START + timedelta(minutes=1)) == ["eager"]

    def test_passes_over_a_schedule_that_is_not_understood(self, caplog):
        _table(schedule="now and then")
        _table(name="fine", schedule="every 1h")

        assert _due() == ["fine"]


@pytest.mark.django_db
class TestSpread:
    def _starts(self, schedule: str, begin: datetime, *, count: int = 60) -> list[float]:
        source = SourceFactory()
        tables = [_table(schedule, source=source, last=begin) for _ in range(count)]
        now = begin + timedelta(seconds=1)
        return [
            (planned - now).total_seconds()
            for planned in timing.next_runs(tables, now=now).values()
        ]

    def test_starts_within_a_bounded_time_and_not_all_at_once(self, settings):
        starts = self._starts("daily 12:00", START)

        day = 24 * 3600 - 1
        assert all(
            day <= start <= day + settings.CONFIG.schedule_spread_seconds for start in starts
        )
        assert len({int(start) for start in starts}) > 30

    def test_is_at_most_a_tenth_of_the_interval(self):
        starts = self._starts("every 10m", START)

        assert all(599 <= start <= 659 for start in starts)
        assert len({int(start) for start in starts}) > 20

    def test_is_the_same_for_a_table_at_every_slot(self, settings):
        table = _table("daily 07:00", last=START)
        offsets = set()
        for days in range(1, 5):
            last = START + timedelta(days=days)
            Table.objects.filter(pk=table.pk).update(slot_at=last, last_success_at=last)
            offsets.add(_next(table, last).time())

        assert len(offsets) == 1

    def test_a_slot_is_due_only_when_the_turn_of_the_table_comes(self):
        table = _table("daily 12:00", last=START - timedelta(days=1), id="0" * 24 + "7fffffff")

        assert _due(START + timedelta(seconds=149)) == []
        turn = _next(table, START) - START
        assert timedelta(seconds=149) < turn < timedelta(seconds=151)
        assert _due(START + timedelta(seconds=150)) == [table.name]


@pytest.mark.django_db
class TestRetry:
    def _failed(self, error, schedule="daily 07:00"):
        table = _table(schedule, last=START - timedelta(days=1))
        _end(scheduling.start_due(now=START)[0], error)
        table.refresh_from_db()
        return table

    def test_does_not_come_at_the_next_look(self):
        self._failed(UpstreamError("No answer."))

        assert _due(START + timedelta(seconds=30)) == []

    @pytest.mark.parametrize(
        "error",
        [UpstreamError("No answer."), StorageFullError("Full."), StorageFailedError("Broken.")],
    )
    def test_comes_after_a_pause_when_the_source_or_the_disk_failed(self, error):
        table = self._failed(error)

        assert timedelta(minutes=1) <= table.retry_at - START <= timedelta(seconds=75)
        assert _next(table, START) == table.retry_at
        assert _due(table.retry_at) == [table.name]

    @pytest.mark.parametrize("error", [InvalidInputError("Bad row."), ChildCrashedError("Gone.")])
    def test_waits_for_the_next_slot_after_any_other_failure(self, error):
        table = self._failed(error)

        assert table.retry_at is None
        assert _due(START + timedelta(hours=12)) == []
        assert _due(START + timedelta(days=1)) == [table.name]

    def test_comes_no_sooner_than_the_source_asked_for(self):
        table = self._failed(UpstreamError("Slow down.", retry_after=1800))

        assert timedelta(minutes=30) <= table.retry_at - START <= timedelta(minutes=38)

    def test_pauses_grow_and_end(self, settings, clock):
        table = self._failed(UpstreamError("No answer."))
        pauses = []
        while table.retry_at is not None:
            pauses.append(table.retry_at - datetime.now(UTC))
            clock.move_to(table.retry_at)
            _end(scheduling.start_due(now=table.retry_at)[0], UpstreamError("No answer."))
            table.refresh_from_db()

        assert len(pauses) == settings.CONFIG.run_retries
        assert all(after > before for before, after in pairwise(pauses))
        assert _due(START + timedelta(hours=18)) == []

    def test_begins_anew_at_the_next_slot(self, clock):
        table = self._failed(UpstreamError("No answer."), schedule="every 1m")
        Table.objects.filter(pk=table.pk).update(retries=5)
        later = START + timedelta(minutes=2)
        clock.move_to(later)

        (run,) = scheduling.start_due(now=later)

        table.refresh_from_db()
        assert run.due_at <= later
        assert (table.retry_at, table.retries) == (None, 0)

    def test_is_forgotten_after_a_success_by_hand(self):
        table = self._failed(UpstreamError("No answer."))
        _end(runs.request_run(table=table, by=None)[0])

        table.refresh_from_db()
        assert (table.retry_at, table.retries) == (None, 0)

    def test_is_not_made_of_a_run_by_hand(self):
        table = _table("every 1h", last=START)
        _end(runs.request_run(table=table, by=None)[0], UpstreamError("No answer."))

        table.refresh_from_db()
        assert table.retry_at is None

    def test_does_not_come_while_the_table_is_paused(self):
        table = self._failed(UpstreamError("No answer."))
        Table.objects.filter(pk=table.pk).update(is_paused=True)

        assert _due(START + timedelta(hours=1)) == []
        assert _next(table, START) is None


@pytest.mark.django_db
class TestPause:
    def _waiting(self) -> Run:
        _table("daily 07:00", name="nightly", last=START - timedelta(days=1))
        (run,) = scheduling.start_due(now=START)
        return run

    def _execute(self, run: Run) -> Run:
        extraction.execute(runs.claim(run.pk, worker="test"))
        run.refresh_from_db()
        return run

    @pytest.mark.parametrize("paused", [Table, Source])
    def test_passes_over_what_waits_and_makes_up_for_it_later(self, layout, paused):
        run = self._waiting()
        paused.objects.update(is_paused=True)

        assert self._execute(run).state == RunState.SKIPPED
        assert _due() == []
        paused.objects.update(is_paused=False)
        assert _due() == ["nightly"]

    def test_does_not_pass_over_what_somebody_asks_for(self, layout, admin):
        run = self._waiting()
        Source.objects.update(is_paused=True)

        assert runs.request_run(table=run.table, by=admin) == (run, False)

        # The folder of this source does not exist.
        assert self._execute(run).state == RunState.FAILED


@pytest.mark.django_db
class TestCost:
    def test_does_not_grow_in_queries_with_the_tables(self, django_assert_max_num_queries):
        sources = [SourceFactory() for _ in range(3)]
        for number in range(300):
            _table("every 1h", source=sources[number % 3], last=START)

        with CaptureQueriesContext(
            connection,
        ) as quiet:
            assert scheduling.start_due(now=START) == []
        with django_assert_max_num_queries(24):
            assert len(scheduling.start_due(now=START + timedelta(hours=2))) == 300
        assert len(quiet) == 2

    def test_shows_the_next_runs_of_a_page_with_one_query(self, django_assert_num_queries):
        tables = [_table("every 1h", last=START) for _ in range(20)]
        sources = [table.source for table in tables]

        with django_assert_num_queries(1):
            timing.next_runs(tables, now=START)
        with django_assert_num_queries(1):
            timing.next_run_of_sources(sources, now=START)


@pytest.mark.django_db
class TestNextRunOfSources:
    def test_is_that_of_the_first_table(self):
        source = SourceFactory(schedule="daily 18:00")
        _table(source=source, last=START)
        _table("daily 15:00", source=source, last=START)
        _table("daily 13:00", source=source, last=START, is_paused=True)
        silent = SourceFactory()
        _table(source=silent)

        found = timing.next_run_of_sources([source, silent], now=START)

        assert found == {source.pk: START.replace(hour=15)}


@pytest.mark.django_db
def test_a_look_that_comes_between_takes_nothing_twice():
    _table("daily 07:00", name="wanted", last=START - timedelta(days=1))
    between: list[Run] = []

    def look_first(execute, sql, params, many, context):
        if sql.startswith("INSERT") and not between:
            between.append(None)
            between[:] = scheduling.start_due(now=START)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look_first):
        made = scheduling.start_due(now=START)

    assert (len(between), made) == (1, [])
    assert Run.objects.count() == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="its transactions wait for each other")
@pytest.mark.django_db(transaction=True)
@pytest.mark.hostile(50)
def test_two_looks_at_once_make_one_run_of_a_slot():
    for number in range(20):
        _table("daily 07:00", name=f"shared_{number}", last=START - timedelta(days=1))
    made: list[Run] = []
    both = Barrier(2)

    def look() -> None:
        both.wait()
        try:
            made.extend(scheduling.start_due(now=START))
        finally:
            connection.close()

    looking = [Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for thread in looking:
        thread.join()

    assert len(made) == 20
    assert Run.objects.count() == 20
