"""Runs over HTTP: asked for, looked at, followed, ended."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from access.models import AuditEvent
from catalog.connectors import QueryMode
from catalog.models import TableName
from extracts.models import Run, RunKind, RunState
from extracts.services import runs
from tests.factories import SourceFactory, TableFactory

TRIGGER, STATUS = "/api/sync/trigger", "/api/sync/status"
JSON = {"content_type": "application/json"}


@pytest.fixture
def shop(layout, db):
    return SourceFactory(slug="shop")


@pytest.fixture
def orders(shop):
    return TableFactory(name="orders", source=shop)


def _start(run: Run, **fields) -> None:
    until = timezone.now() + timedelta(minutes=1)
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, lease_until=until, **fields)


def _end(run: Run, state: RunState = RunState.SUCCEEDED, **fields) -> None:
    Run.objects.filter(pk=run.pk).update(
        state=state, lease_until=None, finished_at=timezone.now(), **fields
    )


@pytest.mark.usefixtures("orders")
class TestTrigger:
    @pytest.fixture(autouse=True)
    def others(self, shop):
        TableFactory(name="customers", source=shop)
        TableFactory(name="events", source=shop, query_mode=QueryMode.REMOTE)

    def _asked(self) -> set[str]:
        return set(Run.objects.values_list("table__name", flat=True))

    @pytest.mark.parametrize("body", ["", "null", '{"tables": null}'])
    def test_without_names_extracts_all_that_have_copies(self, admin_api, body):
        response = admin_api.post(TRIGGER, body, **JSON)

        assert response.status_code == 200
        assert self._asked() == {"orders", "customers"}
        found = response.json()
        assert (found["status"], found["message"]) == ("triggered", "2 runs were started.")
        assert set(found["tables"]) == {"orders", "customers"}

    @pytest.mark.parametrize("body", [["orders"], {"tables": ["orders"]}, ["ORDERS", "orders"]])
    def test_extracts_what_is_named(self, admin_api, admin, body):
        found = admin_api.post(TRIGGER, body, **JSON).json()

        run = Run.objects.get()
        assert (run.table.name, run.requested_by, run.trigger) == ("orders", admin, "api")
        assert found["tables"] == ["orders"]
        assert found["runs"] == [
            {"id": str(run.pk), "table": "orders", "state": "queued", "is_new": True}
        ]
        assert AuditEvent.objects.get(action="run.extract").resource == "table/orders"

    def test_knows_a_table_by_its_alias(self, admin_api, orders):
        TableName.objects.create(table=orders, name="Orders 2024")

        assert admin_api.post(TRIGGER, ["orders 2024"], **JSON).json()["tables"] == ["orders"]

    def test_leaves_out_remote_tables_and_pairs_the_others_with_their_runs(self, admin_api):
        found = admin_api.post(TRIGGER, ["events", "orders"], **JSON).json()

        assert found["tables"] == ["orders"]
        assert [run["table"] for run in found["runs"]] == ["orders"]

    def test_of_nothing_does_nothing(self, admin_api):
        assert admin_api.post(TRIGGER, [], **JSON).json()["runs"] == []
        assert self._asked() == set()

    def test_leaves_paused_sources_out_unless_a_table_is_named(self, admin_api, shop):
        shop.is_paused = True
        shop.save()

        admin_api.post(TRIGGER, **JSON)
        assert self._asked() == set()
        admin_api.post(TRIGGER, ["orders"], **JSON)
        assert self._asked() == {"orders"}

    def test_returns_what_runs_already_beside_what_is_new(self, admin_api, orders):
        running, _ = runs.request_run(table=orders, by=None)
        _start(running)

        response = admin_api.post(TRIGGER, ["orders", "customers"], **JSON)

        assert response.status_code == 200
        described = {run["table"]: run for run in response.json()["runs"]}
        assert described["orders"]["id"] == str(running.pk)
        assert (described["orders"]["state"], described["orders"]["is_new"]) == ("running", False)
        assert described["customers"]["is_new"] is True

    def test_is_409_only_when_all_of_it_runs_already(self, admin_api):
        admin_api.post(TRIGGER, ["orders"], **JSON)

        response = admin_api.post(TRIGGER, ["orders"], **JSON)

        assert response.status_code == 409
        body = response.json()
        assert body["code"] == body["detail"]["reason"] == "sync_already_in_progress"
        assert [run["table"] for run in body["details"]["runs"]] == ["orders"]
        assert Run.objects.count() == 1

    @pytest.mark.parametrize(
        "body",
        ["orders", 7, True, {}, {"table": ["orders"]}, {"tables": "orders"}, [1], [["orders"]],
         {"tables": ["orders"], "force": True}, {"tables": [None]}],
    )  # fmt: skip
    def test_refuses_another_body(self, admin_api, body):
        response = admin_api.post(TRIGGER, json.dumps(body), **JSON)

        assert (response.status_code, response.json()["code"]) == (422, "trigger_invalid")
        assert self._asked() == set()

    def test_of_a_table_that_is_not_there_starts_nothing_at_all(self, admin_api):
        response = admin_api.post(TRIGGER, ["orders", "nosuch"], **JSON)

        assert (response.status_code, response.json()["code"]) == (404, "table_not_found")
        assert self._asked() == set()

    def test_is_for_administrators(self, api):
        assert api.post(TRIGGER, ["orders"], **JSON).status_code == 403
        assert self._asked() == set()


class TestStatus:
    def test_tells_anybody_whether_work_goes_on(self, client, orders):
        assert client.get(STATUS).json() == {"locked": False, "queued": 0, "running": 0}

        run, _ = runs.request_run(table=orders, by=None)
        assert client.get(STATUS).json() == {"locked": True, "queued": 1, "running": 0}

        _start(run)
        assert client.get(STATUS).json() == {"locked": True, "queued": 0, "running": 1}

        _end(run)
        assert client.get(STATUS).json()["locked"] is False


class TestRunDetails:
    def test_say_how_a_run_goes(self, admin_api, orders):
        run, _ = runs.request_run(table=orders, by=None)
        _start(run, phase="writing", done=5, total=10, log="08:00:00 starting\n")

        found = admin_api.get(f"/api/runs/{run.pk}").json()

        assert (found["table"], found["source"], found["kind"]) == ("orders", "shop", "extract")
        assert (found["phase"], found["done"], found["total"]) == ("writing", 5, 10)
        assert (found["error"], found["log"]) == (None, "08:00:00 starting\n")

    def test_say_what_a_person_can_do_about_a_failure(self, admin_api, orders):
        run, _ = runs.request_run(table=orders, by=None)
        _end(run, RunState.FAILED, error_code="x", error_message="It broke.", error_hint="Mend it.")

        found = admin_api.get(f"/api/runs/{run.pk}").json()

        assert found["error"] == {"code": "x", "message": "It broke.", "hint": "Mend it."}

    def test_of_a_run_without_table_and_source_are_there_too(self, admin_api):
        run, _ = runs.request_run(by=None, kind=RunKind.REBUILD)

        found = admin_api.get(f"/api/runs/{run.pk}").json()

        assert (found["table"], found["source"]) == (None, None)

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", ""), ("GET", "/progress"), ("POST", "/cancel")]
    )
    def test_of_an_unknown_run_are_404(self, admin_api, method, path):
        response = admin_api.generic(method, f"/api/runs/{uuid4()}{path}")

        assert (response.status_code, response.json()["code"]) == (404, "run_not_found")

    def test_are_for_administrators(self, api, orders):
        run, _ = runs.request_run(table=orders, by=None)

        assert api.get(f"/api/runs/{run.pk}").status_code == 403
        assert api.get(f"/api/runs/{run.pk}/progress").status_code == 403


class TestListRuns:
    @pytest.mark.parametrize(("limit", "count"), [("2", 2), ("0", 1), ("-5", 1), ("9" * 30, 3)])
    def test_returns_the_newest_within_bounds(self, admin_api, shop, limit, count):
        made = [runs.request_run(table=TableFactory(source=shop), by=None)[0] for _ in range(3)]

        found = admin_api.get(f"/api/runs?limit={limit}").json()

        assert len(found) == count
        assert found[0]["id"] == str(made[-1].pk)

    def test_grows_by_rows_not_by_queries(self, admin_api, shop, django_assert_max_num_queries):
        for _ in range(5):
            runs.request_run(table=TableFactory(source=shop), by=None)

        with django_assert_max_num_queries(3):
            admin_api.get("/api/runs")


class TestFollow:
    def _events(self, response) -> list[dict]:
        return [json.loads(line[6:]) for line in response if line.startswith(b"data: ")]

    def test_sends_one_event_for_each_change_and_ends_with_the_run(self, admin_api, orders):
        run, _ = runs.request_run(table=orders, by=None)
        response = admin_api.get(f"/api/runs/{run.pk}/progress")
        stream = iter(response.streaming_content)

        assert response["Content-Type"] == "text/event-stream"
        assert next(stream).startswith(b"retry:")
        states = [json.loads(next(stream)[6:])["state"]]
        _start(run, phase="writing", done=3)
        states.append(json.loads(next(stream)[6:])["state"])
        _end(run, rows=7)
        last = json.loads(next(stream)[6:])

        assert [*states, last["state"]] == ["queued", "running", "succeeded"]
        assert last["rows"] == 7
        assert list(stream) == []

    def test_of_a_run_that_is_over_sends_it_once(self, admin_api, orders):
        run, _ = runs.request_run(table=orders, by=None)
        _end(run)

        response = admin_api.get(f"/api/runs/{run.pk}/progress")

        (event,) = self._events(response.streaming_content)
        assert (event["id"], event["state"]) == (str(run.pk), "succeeded")

    def test_leaves_most_threads_to_others(self, admin_api, orders, settings):
        run, _ = runs.request_run(table=orders, by=None)
        url = f"/api/runs/{run.pk}/progress"
        followed = [admin_api.get(url) for _ in range(settings.CONFIG.web_threads // 4)]
        assert {next(each.streaming_content) for each in followed} == {b"retry: 500\n\n"}
        last, free = admin_api.get(url), admin_api.get(url)

        told = list(last.streaming_content)

        assert told[0] == b"retry: 3000\n\n"
        assert [event["state"] for event in self._events(told)] == ["queued"]
        for each in followed:
            each.close()
        assert next(free.streaming_content) == b"retry: 500\n\n"
        free.close()

    def test_ends_when_the_run_is_gone(self, admin_api, orders):
        run, _ = runs.request_run(table=orders, by=None)
        stream = iter(admin_api.get(f"/api/runs/{run.pk}/progress").streaming_content)
        next(stream)
        next(stream)

        Run.objects.all().delete()

        assert list(stream) == []


class TestCancel:
    def test_ends_a_run_for_good(self, admin_api, admin, orders):
        run, _ = runs.request_run(table=orders, by=None)
        _start(run)
        orders.refresh_from_db()
        fencing = orders.fencing

        response = admin_api.post(f"/api/runs/{run.pk}/cancel")

        assert response.json()["state"] == "cancelled"
        orders.refresh_from_db()
        assert orders.fencing > fencing
        assert AuditEvent.objects.get(action="run.cancel").actor == admin
        again = admin_api.post(f"/api/runs/{run.pk}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "run_finished")
