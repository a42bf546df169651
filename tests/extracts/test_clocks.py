"""Clocks that are wrong by an hour or a year, and put right: nothing is lost, nothing waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from agnes_site.celery import app
from agnes_site.core.beat import Scheduler
from catalog.models import Table
from catalog.services import retention, timing
from extracts.models import Lease, Run, RunState
from extracts.services import extraction, runs, scheduling
from extracts.services.holding import hold
from extracts.services.leases import lease
from tests.factories import SourceFactory, TableFactory

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
JUMPS = [-YEAR, -timedelta(hours=12), timedelta(hours=1), YEAR]


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def orders(layout, db, tmp_path) -> Table:
    (tmp_path / "orders.csv").write_text("id\n1\n2\n")
    return TableFactory(name="orders", source=SourceFactory(config={"folder": str(tmp_path)}))


@pytest.mark.hostile(51)
@pytest.mark.parametrize("jump", JUMPS)
class TestClockThatJumps:
    def test_leaves_no_run_to_a_worker_that_is_gone(self, orders, clock, jump):
        run, _ = runs.request_run(table=orders, by=None)
        runs.claim(run.pk, worker="gone")

        clock.move_to(START + jump)

        assert runs.sweep() == 1
        assert runs.claim(run.pk, worker="here").attempt == 2

    def test_leaves_no_lease_to_a_holder_that_is_gone(self, db, clock, jump):
        Lease.objects.create(name="analytics", holder="gone", until=timezone.now())

        clock.move_to(START + jump)

        with lease("analytics"):
            assert Lease.objects.get().holder != "gone"

    def test_rings_again_for_a_run_whose_bell_was_lost(self, orders, clock, jump):
        runs.request_run(table=orders, by=None)

        clock.move_to(START + jump)

        assert runs.sweep() == 1

    def test_removes_no_file_whose_version_is_about_to_be_committed(
        self, orders, layout, clock, jump
    ):
        swept = []

        def clean_up(execute, sql, params, many, context):
            if sql.startswith('INSERT INTO "catalog_tableversion"'):
                clock.move_to(START + jump)
                swept.append(retention.collect_garbage(store=layout.store, older_than_seconds=0))
            return execute(sql, params, many, context)

        run, _ = runs.request_run(table=orders, by=None)
        with connection.execute_wrapper(clean_up):
            extraction.execute(runs.claim(run.pk, worker="test"))

        assert swept == [[]]
        version = Table.objects.get(pk=orders.pk).current_version
        assert all(layout.stored(part.sha256).is_file() for part in version.parts.all())


class TestScheduleOfAClockThatWasAhead:
    @pytest.mark.parametrize("schedule", ["every 1h", "daily 07:00"])
    def test_goes_on_when_it_is_put_right(self, db, clock, schedule):
        table = TableFactory(sync_schedule=schedule)
        clock.move_to(START + YEAR)
        (run,) = scheduling.start_due(now=timezone.now())
        with hold(runs.claim(run.pk, worker="test")) as (holding,):
            holding.finish(RunState.SUCCEEDED)
        scheduling.record_success(Run.objects.get(pk=run.pk))
        clock.move_to(START)

        (again,) = scheduling.start_due(now=START)

        assert again.table_id == table.pk
        assert again.due_at <= START
        assert scheduling.start_due(now=START) == []
        Run.objects.filter(pk=again.pk).update(state=RunState.SUCCEEDED)
        planned = timing.next_runs([table], now=START + timedelta(minutes=1))[table.pk]
        assert START < planned <= START + timedelta(days=1, minutes=10)


class TestBeat:
    @pytest.mark.parametrize("jump", JUMPS)
    def test_rings_within_an_interval_after_a_jump(self, jump):
        rung = []

        class Bell(Scheduler):
            def apply_entry(self, entry, producer=None):
                rung.append(entry.name)

            producer = None

        with time_machine.travel(START, tick=False) as clock:
            beat = Bell(app, lazy=True)
            beat.merge_inplace({
                name: {"task": name, "schedule": 15.0} for name in ("sweep", "scan")
            })  # fmt: skip
            beat.tick()
            clock.move_to(START + jump)
            beat.tick()
            clock.move_to(START + jump + timedelta(seconds=16))
            rung.clear()
            for _ in range(3):
                beat.tick()

        assert set(rung) == {"sweep", "scan"}
