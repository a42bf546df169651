"""Runs: asked for, claimed, kept alive, taken up again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from access.models import AuditEvent
from extracts.models import Run, RunKind, RunState, RunTrigger
from extracts.services import runs
from extracts.services.holding import Holding
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def rung(monkeypatch) -> list[str]:
    """The runs whose task was sent, in order; there is no worker in these tests."""
    sent: list[str] = []

    def send_task(name, kwargs, **options):
        assert name == runs.TASK
        sent.append(kwargs["run_id"])

    monkeypatch.setattr(runs.current_app, "send_task", send_task)
    return sent


def _let_lease_pass(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def _let_bell_ring_out(*rung: Run) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    Run.objects.filter(pk__in=[run.pk for run in rung]).update(rung_at=long_ago)


@pytest.mark.django_db
@pytest.mark.usefixtures("rung")
class TestRequestRun:
    def test_sends_the_task_after_the_commit(self, rung, django_capture_on_commit_callbacks):
        table = TableFactory()

        with django_capture_on_commit_callbacks(execute=True):
            run, is_new = runs.request_run(table=table, by=None)
            assert rung == []

        assert is_new
        assert rung == [str(run.pk)]

    def test_returns_what_is_open_already(self):
        table = TableFactory()
        first, _ = runs.request_run(table=table, by=None)

        second, is_new = runs.request_run(table=table, by=None)

        assert (second.pk, is_new) == (first.pk, False)

    def test_starts_anew_when_the_open_one_ends_at_this_moment(self):
        table = TableFactory()
        first, _ = runs.request_run(table=table, by=None)

        def end_before_it_is_looked_up(execute, sql, params, many, context):
            if sql.startswith("SELECT") and 'FROM "extracts_run"' in sql:
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE extracts_run SET state = 'succeeded'")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(end_before_it_is_looked_up):
            second, is_new = runs.request_run(table=table, by=None)

        assert is_new
        assert second.pk != first.pk

    def test_of_another_kind_or_table_is_another_run(self):
        table = TableFactory()
        asked = [
            runs.request_run(table=table, by=None),
            runs.request_run(table=TableFactory(), by=None),
            runs.request_run(source=table.source, by=None),
            runs.request_run(source=table.source, by=None, kind=RunKind.REBUILD),
            runs.request_run(by=None, kind=RunKind.REBUILD),
        ]

        assert all(is_new for _, is_new in asked)

    def test_starts_anew_when_the_last_one_is_over(self):
        table = TableFactory()
        first, _ = runs.request_run(table=table, by=None)
        runs.cancel(run=first, by=None)

        assert runs.request_run(table=table, by=None)[1]


@pytest.mark.django_db
@pytest.mark.usefixtures("rung")
class TestRequestRuns:
    def test_returns_a_run_for_each_table_in_their_order(self, admin):
        tables = TableFactory.create_batch(3)
        open_already, _ = runs.request_run(table=tables[1], by=None)

        asked = runs.request_runs(tables=tables, by=admin, trigger=RunTrigger.API)

        assert [run.table for run, _ in asked] == tables
        assert [is_new for _, is_new in asked] == [True, False, True]
        assert asked[1][0] == open_already
        told = AuditEvent.objects.filter(action="run.extract", actor=admin)
        assert {event.resource for event in told} == {
            f"table/{tables[0].name}", f"table/{tables[2].name}",
        }  # fmt: skip

    def test_joins_what_waits_and_leaves_alone_what_runs(self, admin):
        waiting, running = TableFactory.create_batch(2)
        runs.request_run(table=waiting, by=None)
        runs.claim(runs.request_run(table=running, by=None)[0].pk, worker="test")

        asked = runs.request_runs(
            tables=[waiting, running], by=admin, trigger=RunTrigger.API, is_full=True
        )

        assert [(run.is_full, run.requested_by) for run, _ in asked] == [
            (True, admin), (False, None),
        ]  # fmt: skip

    def test_asks_the_database_as_often_for_many_as_for_two(
        self, admin, django_assert_max_num_queries
    ):
        tables = TableFactory.create_batch(32, source=SourceFactory())
        with django_assert_max_num_queries(50) as few:
            runs.request_runs(tables=tables[:2], by=admin, trigger=RunTrigger.API)
        count = len(few)

        with django_assert_max_num_queries(count):
            runs.request_runs(tables=tables[2:], by=admin, trigger=RunTrigger.API)

    def test_rings_for_as_many_of_a_source_as_may_run_at_once(
        self, rung, django_capture_on_commit_callbacks
    ):
        source = SourceFactory(concurrency=2)
        tables = TableFactory.create_batch(5, source=source)

        with django_capture_on_commit_callbacks(execute=True):
            asked = runs.request_runs(tables=tables, by=None, trigger=RunTrigger.SCAN)

        assert rung == [str(run.pk) for run, _ in asked[:2]]


@pytest.mark.django_db
@pytest.mark.usefixtures("rung")
@pytest.mark.hostile(50)
class TestClaim:
    def test_gives_the_run_to_one_worker_only(self):
        run, _ = runs.request_run(table=TableFactory(), by=None)

        claimed = runs.claim(run.pk, worker="a")

        assert (claimed.state, claimed.worker, claimed.attempt) == (RunState.RUNNING, "a", 1)
        with pytest.raises(runs.RunNotClaimedError):
            runs.claim(run.pk, worker="b")

    def test_takes_over_from_a_worker_that_fell_silent(self):
        table = TableFactory()
        run, _ = runs.request_run(table=table, by=None)
        first = runs.claim(run.pk, worker="a")
        _let_lease_pass(run)

        second = runs.claim(run.pk, worker="b")

        assert (second.worker, second.attempt) == ("b", 2)
        assert second.fencing > first.fencing
        table.refresh_from_db()
        assert table.fencing == second.fencing

    def test_keeps_to_the_concurrency_of_the_source(self):
        source = SourceFactory(concurrency=1)
        first, _ = runs.request_run(table=TableFactory(source=source), by=None)
        second, _ = runs.request_run(table=TableFactory(source=source), by=None)
        runs.claim(first.pk, worker="a")

        with pytest.raises(runs.RunNotClaimedError):
            runs.claim(second.pk, worker="b")
        second.table.refresh_from_db()
        assert second.table.fencing == 0

        Run.objects.filter(pk=first.pk).update(state=RunState.SUCCEEDED)
        assert runs.claim(second.pk, worker="b").state == RunState.RUNNING


@pytest.mark.django_db
@pytest.mark.usefixtures("rung")
class TestHolding:
    def _claimed(self) -> Run:
        run, _ = runs.request_run(table=TableFactory(), by=None)
        return runs.claim(run.pk, worker="a")

    def test_moves_the_lease_on(self):
        run = self._claimed()
        _let_lease_pass(run)

        Holding(run).beat()

        run.refresh_from_db()
        assert run.lease_until > timezone.now()

    def test_notices_that_another_worker_took_over(self):
        run = self._claimed()
        _let_lease_pass(run)
        runs.claim(run.pk, worker="b")
        holding = Holding(run)

        holding.beat()

        assert holding.is_lost

    def test_a_worker_that_lost_its_run_changes_nothing_of_it(self):
        run = self._claimed()
        _let_lease_pass(run)
        taken = runs.claim(run.pk, worker="b")
        late = Holding(run)

        late.progress("publish", done=5)
        late.note("from the grave")
        assert not late.finish(RunState.SUCCEEDED)

        taken.refresh_from_db()
        assert (taken.state, taken.done, taken.log) == (RunState.RUNNING, 0, "")

    def test_keeps_the_log_bounded_with_its_beginning_and_its_end(self):
        run = self._claimed()
        holding = Holding(run)

        for number in range(2000):
            holding.note(f"line {number} of a long story")
        holding.finish(RunState.SUCCEEDED)

        run.refresh_from_db()
        assert len(run.log) < 21_000
        assert "line 0 of" in run.log
        assert "line 1999 of" in run.log


@pytest.mark.django_db
@pytest.mark.hostile(50)
class TestSweep:
    def test_rings_for_an_abandoned_run(self, rung, django_capture_on_commit_callbacks):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        runs.claim(run.pk, worker="a")
        _let_lease_pass(run)

        with django_capture_on_commit_callbacks(execute=True):
            assert runs.sweep() == 1

        assert rung == [str(run.pk)]

    def test_rings_for_a_run_whose_bell_was_lost(self, rung, django_capture_on_commit_callbacks):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        _let_bell_ring_out(run)

        with django_capture_on_commit_callbacks(execute=True):
            assert runs.sweep() == 1

        assert rung == [str(run.pk)]

    def test_leaves_a_run_alone_that_is_worked_on(self, rung):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        runs.claim(run.pk, worker="a")

        assert runs.sweep() == 0

    def test_leaves_a_queued_run_alone_whose_bell_is_fresh(self, rung):
        runs.request_run(table=TableFactory(), by=None)

        assert runs.sweep() == 0

    def test_rings_for_as_many_of_a_source_as_may_run_at_once(self):
        source = SourceFactory(concurrency=2)
        asked = [runs.request_run(table=TableFactory(source=source), by=None)[0] for _ in range(5)]
        runs.claim(asked[0].pk, worker="a")
        _let_bell_ring_out(*asked)

        assert runs.sweep() == 1
        _let_bell_ring_out(*asked)
        runs.claim(asked[1].pk, worker="b")
        assert runs.sweep() == 0

    def test_leaves_alone_what_is_let_go_while_it_looks(self, rung):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        holding = Holding(runs.claim(run.pk, worker="a"))
        Run.objects.update(queued_at=timezone.now() - timedelta(minutes=5))

        def let_go_after_places_are_counted(execute, sql, params, many, context):
            answer = execute(sql, params, many, context)
            if "concurrency" in sql and not holding.is_lost:
                holding.let_go()
            return answer

        with connection.execute_wrapper(let_go_after_places_are_counted):
            assert runs.sweep() == 0

        assert holding.is_lost
        assert runs.sweep() == 1

    def test_gives_up_on_work_that_kills_its_workers(self, rung, settings):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        for _ in range(settings.CONFIG.run_attempts):
            runs.claim(run.pk, worker="a")
            _let_lease_pass(run)

        runs.sweep()

        run.refresh_from_db()
        assert (run.state, run.error_code) == (RunState.FAILED, "worker_lost")
        assert run.error_hint


@pytest.mark.django_db
@pytest.mark.usefixtures("rung")
class TestCancel:
    def test_takes_the_right_to_publish_away(self):
        table = TableFactory()
        run, _ = runs.request_run(table=table, by=None)
        claimed = runs.claim(run.pk, worker="a")

        runs.cancel(run=run, by=None)

        table.refresh_from_db()
        assert table.fencing > claimed.fencing
        holding = Holding(claimed)
        holding.beat()
        assert holding.is_lost

    def test_of_a_run_that_is_over_is_refused(self):
        run, _ = runs.request_run(table=TableFactory(), by=None)
        runs.cancel(run=run, by=None)

        with pytest.raises(runs.RunFinishedError):
            runs.cancel(run=run, by=None)
