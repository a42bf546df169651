"""A database or queue that fails in the middle: the run is taken up again, by itself."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as QueueError

from catalog.models import Table
from extracts.models import Run, RunState
from extracts.services import extraction, runs
from tests.factories import SourceFactory, TableFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders(layout, tmp_path) -> Table:
    (tmp_path / "orders.csv").write_text("id\n1\n2\n")
    return TableFactory(name="orders", source=SourceFactory(config={"folder": str(tmp_path)}))


def execute(run: Run) -> Run:
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def refusal_at(statement: str, *, said: str = "deadlock detected"):
    """Let the database end each transaction that comes to a statement."""

    def refuse(execute, sql, params, many, context):
        if sql.startswith(statement):
            raise OperationalError(said)
        return execute(sql, params, many, context)

    return connection.execute_wrapper(refuse)


# With transactions of its own: a connection that failed is closed.
@pytest.mark.django_db(transaction=True)
@pytest.mark.hostile(51)
class TestDeadlockInAPublish:
    def test_is_tried_again(self, orders):
        run, _ = runs.request_run(table=orders, by=None)
        with refusal_at('INSERT INTO "catalog_tableversion"'):
            waiting = execute(run)
        done = execute(run)

        assert (waiting.state, waiting.version_number) == (RunState.QUEUED, None)
        assert waiting.lease_until is None
        assert (done.state, done.version_number, done.rows) == (RunState.SUCCEEDED, 1, 2)
        assert done.attempt == 2

    def test_after_its_commit_is_tried_again_at_once(self, orders):
        run, _ = runs.request_run(table=orders, by=None)
        with refusal_at('UPDATE "catalog_table" SET "last_success_at"'):
            waiting = execute(run)
        done = execute(run)

        assert (waiting.state, waiting.lease_until) == (RunState.QUEUED, None)
        assert (done.state, done.version_number, done.rows) == (RunState.SUCCEEDED, 1, 2)
        assert orders.versions.count() == 1

    def test_is_a_failure_when_it_does_not_end(self, orders, settings):
        run, _ = runs.request_run(table=orders, by=None)
        with refusal_at('INSERT INTO "catalog_tableversion"'):
            tries = [execute(run) for _ in range(settings.CONFIG.run_attempts)]

        states = [RunState.QUEUED] * (len(tries) - 1) + [RunState.FAILED]
        assert [run.state for run in tries] == states
        assert tries[-1].error_code == "database_unavailable"
        assert tries[-1].error_hint


@pytest.mark.django_db(transaction=True)
class TestFullDisk:
    def test_of_the_database_is_named(self, orders):
        run, _ = runs.request_run(table=orders, by=None)
        full = "database or disk is full"
        with refusal_at('INSERT INTO "catalog_tableversion"', said=full):
            failed = execute(run)

        assert (failed.state, failed.error_code) == (RunState.FAILED, "storage_full")
        assert not orders.versions.exists()


class TestQueueThatIsGone:
    def test_takes_no_run_away(
        self, orders, monkeypatch, django_capture_on_commit_callbacks, admin_api
    ):
        def send_task(name, **options):
            raise QueueError("Connection refused")

        monkeypatch.setattr(runs.current_app, "send_task", send_task)
        with django_capture_on_commit_callbacks(execute=True):
            response = admin_api.post(
                "/api/sync/trigger", {"tables": ["orders"]}, content_type="application/json"
            )

        assert response.status_code in (200, 202)
        assert Run.objects.get().state == RunState.QUEUED
