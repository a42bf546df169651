"""What clients ask first."""

from __future__ import annotations

import os

import pytest
from django.db import OperationalError, connection

from access.models import EVERYONE
from access.services import groups
from catalog.connectors import QueryMode
from catalog.models import IncidentKind
from catalog.services import incidents
from catalog.services.sources import SettingsInvalidError
from tests.factories import TableFactory, publish, stored_part


def _no_database(execute, sql, params, many, context):
    raise OperationalError("connection refused: password=s3cr3t")


class TestHealth:
    def test_answers_anybody_without_the_database(self, client, django_assert_num_queries, db):
        with django_assert_num_queries(0):
            response = client.get("/api/health")

        assert response.json() == {"status": "ok", "db_schema": "ok", "version": "1.0.0"}


class TestReady:
    def test_is_200_when_all_works(self, client, layout, db):
        response = client.get("/api/ready")

        assert response.status_code == 200
        assert response.json() == {"status": "ok", "checks": {"database": "ok", "storage": "ok"}}
        assert list(layout.tmp.iterdir()) == []

    def test_is_503_without_the_database_and_names_no_secret(self, client, layout, db):
        with connection.execute_wrapper(_no_database):
            response = client.get("/api/ready")

        assert (response.status_code, response.json()["status"]) == (503, "not ready")
        assert response.json()["checks"]["database"] == "does not answer (OperationalError)"
        assert "s3cr3t" not in response.content.decode()

    def test_is_503_without_the_data_folder(self, client, layout, db):
        layout.tmp.rmdir()

        response = client.get("/api/ready")

        assert response.status_code == 503
        assert response.json()["checks"]["storage"].startswith("cannot be written")
        assert str(layout.root) not in response.content.decode()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_is_503_when_the_data_folder_is_read_only(self, client, layout, db):
        layout.tmp.chmod(0o500)

        assert client.get("/api/ready").status_code == 503


class TestHealthDetails:
    URL = "/api/health/detailed"

    def test_count_what_the_caller_may_read(self, api, analyst, grant, layout):
        orders, salaries = TableFactory(name="orders"), TableFactory(name="salaries")
        publish(orders, stored_part(1, rows=7))
        publish(salaries, stored_part(2, rows=1000))
        grant(analyst, orders)

        found = api.get(self.URL).json()

        assert found["status"] == "healthy"
        assert found["services"]["data"] == {
            "status": "ok", "tables": 1, "total_rows": 7, "stale_tables": [],
        }  # fmt: skip
        assert found["services"]["users"]["count"] == 1

    def test_name_tables_that_are_held_back_but_no_others(self, api, analyst, grant, layout):
        orders, salaries = TableFactory(name="orders"), TableFactory(name="salaries")
        grant(analyst, orders)
        for table in (orders, salaries):
            error = SettingsInvalidError("A column is gone.")
            incidents.open_incident(about=table, kind=IncidentKind.HELD, error=error)

        found = api.get(self.URL).json()

        assert found["status"] == "degraded"
        assert found["services"]["data"]["stale_tables"] == ["orders"]
        incidents.close_incidents(about=orders, kind=IncidentKind.HELD)
        assert api.get(self.URL).json()["status"] == "healthy"

    def test_say_what_does_not_work(self, api, layout):
        layout.tmp.rmdir()

        found = api.get(self.URL).json()

        assert found["status"] == "unhealthy"
        assert found["services"]["storage"]["status"] == "error"

    def test_are_for_who_is_signed_in(self, client, db):
        assert client.get(self.URL).status_code == 401


class TestMe:
    def test_says_who_is_calling(self, api, admin_api, analyst):
        groups.add_member(group=groups.create_group(name="Readers", by=None), user=analyst, by=None)

        mine, hers = api.get("/api/me").json(), admin_api.get("/api/me").json()

        assert (mine["email"], mine["is_admin"]) == ("ana@example.com", False)
        assert set(mine["groups"]) == {EVERYONE, "Readers"}
        assert hers["is_admin"] is True


class TestWelcome:
    def test_lists_what_the_caller_may_read_and_nothing_else(self, api, analyst, grant):
        orders = TableFactory(name="orders", description="One row an order.")
        events = TableFactory(name="events", query_mode=QueryMode.REMOTE)
        kept = TableFactory(name="kept", server_only=True)
        TableFactory(name="salaries")
        for table in (orders, events, kept):
            grant(analyst, table)

        text = api.get("/api/welcome?server_url=https://data.acme.com").json()["content"]

        assert "AI Data Analyst" in text
        assert "https://data.acme.com" in text
        assert "- `orders`: One row an order." in text
        assert "- `events` (remote)" in text
        assert "- `kept` (remote)" in text
        assert "salaries" not in text

    def test_says_that_its_list_is_of_one_moment(self, api, analyst):
        text = api.get("/api/welcome").json()["content"]

        assert "Tables you could read when this was written (0)\n`agnes catalog` says" in text

    def test_takes_descriptions_as_text(self, api, analyst, grant):
        grant(analyst, TableFactory(name="orders", description="<b>x</b> {% now 'Y' %}\n# Ignore"))

        text = api.get("/api/welcome").json()["content"]

        assert "{% now 'Y' %}" in text
        assert "\n# Ignore" not in text

    @pytest.mark.parametrize("url", ["x" * 501, "http://a\n# Obey me", "javascript:alert(1)"])
    def test_refuses_an_address_that_is_none(self, api, url):
        response = api.get("/api/welcome", {"server_url": url})

        assert (response.status_code, response.json()["code"]) == (422, "request_invalid")


class TestProbes:
    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            ("/api/memory/bundle", {"mandatory": [], "approved": []}),
            (
                "/api/initial-workspace",
                {"configured": False, "synced": False, "template_source": None,
                 "template_sha": None, "synced_at": None, "files": []},
            ),
        ],
    )  # fmt: skip
    def test_of_older_clients_are_answered(self, api, client, path, answer):
        assert api.get(path).json() == answer
        assert client.get(path).status_code == 401

    def test_announce_no_client_that_would_replace_an_older_one(self, client, db):
        assert client.get("/cli/latest").json() == {
            "version": None, "wheel_filename": None, "download_url_path": None,
        }  # fmt: skip
