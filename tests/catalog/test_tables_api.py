"""The registry over HTTP: tables registered, changed, unregistered, found."""

from __future__ import annotations

import pytest

from access.models import AuditEvent, Grant
from catalog.connectors import ColumnSpec, QueryMode
from catalog.models import Folder, IncidentKind, Table, TableName, TableVersion
from catalog.services import incidents
from catalog.services.sources import SettingsInvalidError
from tests.factories import SourceFactory, TableFactory, publish, stored_part

REGISTER, PRECHECK = "/api/admin/register-table", "/api/admin/register-table/precheck"
JSON = {"content_type": "application/json"}


@pytest.fixture
def shop(db):
    """The only source of type files."""
    return SourceFactory(slug="shop")


def _refused(response, status: int, code: str) -> dict:
    assert (response.status_code, response.json()["code"]) == (status, code)
    return response.json()


class TestListTables:
    def test_is_limited_to_a_source_when_asked(self, admin_api, shop):
        TableFactory(name="orders", source=shop)
        TableFactory(name="tickets")

        found = admin_api.get("/api/catalog/tables?source=SHOP").json()

        assert ([table["id"] for table in found["tables"]], found["count"]) == (["orders"], 1)

    def test_counts_what_holds_newer_data_back(self, admin_api, shop):
        orders = TableFactory(name="orders", source=shop)
        incidents.open_incident(
            about=orders, kind=IncidentKind.HELD, error=SettingsInvalidError("A column is gone.")
        )

        listed = admin_api.get("/api/catalog/tables").json()["tables"]
        rows = admin_api.get("/api/admin/registry").json()["tables"]

        assert [table["incidents"] for table in listed] == [1]
        assert [row["last_sync_error"] for row in rows] == ["A column is gone."]

        incidents.close_incidents(about=orders, kind=IncidentKind.HELD)
        rows = admin_api.get("/api/admin/registry").json()["tables"]
        assert [row["last_sync_error"] for row in rows] == [None]

    def test_grows_by_rows_not_by_queries(self, admin_api, shop, django_assert_max_num_queries):
        for number in range(15):
            publish(TableFactory(source=shop), stored_part(number + 1))

        with django_assert_max_num_queries(6):
            assert admin_api.get("/api/admin/registry").json()["count"] == 15


class TestRegisterTable:
    def test_adds_a_table_that_nobody_may_read_yet(self, admin_api, admin, api, shop):
        body = {
            "name": "orders", "source": "shop", "source_table": "orders.csv", "folder": "Sales",
            "description": "One row an order.", "primary_key": "id, line",
            "sync_schedule": "every 6h",
        }  # fmt: skip

        response = admin_api.post(REGISTER, body, **JSON)

        assert response.status_code == 201
        assert response.json() == {
            "id": "orders", "name": "orders", "status": "registered", "source": "shop",
            "view_name": "orders",
        }  # fmt: skip
        (row,) = admin_api.get("/api/admin/registry").json()["tables"]
        assert (row["folder"], row["primary_key"]) == ("Sales", ["id", "line"])
        assert (row["sync_schedule"], row["registered_by"]) == ("every 6h", admin.email)
        assert api.get("/api/catalog/tables").json()["count"] == 0
        event = AuditEvent.objects.get(action="register_table")
        assert (event.actor, event.resource) == (admin, "table/orders")

    @pytest.mark.parametrize("source_type", ["files", "csv", "LOCAL"])
    def test_finds_the_only_source_of_a_type(self, admin_api, shop, source_type):
        body = {"name": "orders", "source_type": source_type}

        assert admin_api.post(REGISTER, body, **JSON).json()["source"] == "shop"

    def test_names_the_sources_when_there_are_several_of_a_type(self, admin_api, shop):
        SourceFactory(slug="archive")

        response = admin_api.post(REGISTER, {"name": "orders", "source_type": "files"}, **JSON)

        found = _refused(response, 422, "table_invalid")
        assert "shop" in found["message"]
        assert sorted(found["details"]["sources"]) == ["archive", "shop"]

    def test_says_so_when_there_is_no_source_of_a_type(self, admin_api, shop):
        response = admin_api.post(REGISTER, {"name": "orders", "source_type": "external"}, **JSON)

        found = _refused(response, 422, "table_invalid")
        assert "none" in found["message"]
        assert found["details"]["sources"] == []

    def test_asks_for_a_source_when_none_is_given(self, admin_api, shop):
        found = _refused(admin_api.post(REGISTER, {"name": "orders"}, **JSON), 422, "table_invalid")

        assert "files" in found["details"]["source_types"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"source": "nowhere"}, "source_unknown"),
            ({"source_type": "fax"}, "source_type_unknown"),
            ({"source": "shop", "name": "  "}, "table_invalid"),
            ({"source": "shop", "query_mode": "remote"}, "query_mode_unsupported"),
            ({"source": "shop", "sync_schedule": "* * * * *"}, "schedule_invalid"),
            ({"source": "shop", "options": {"colour": "red"}}, "settings_invalid"),
            ({"source": "shop", "source_query": "SELECT 1"}, "table_invalid"),
            ({"source": "shop", "sync_strategy": "partitioned"}, "table_invalid"),
            ({"source": "shop", "partition_granularity": "century"}, "table_invalid"),
            ({"source": "shop", "bucket": "x" * 201}, "table_invalid"),
            ({"source": "shop", "incremental_window_days": 10**30}, "request_invalid"),
            ({"source": "shop", "incremental_window_days": 2**31}, "request_invalid"),
            ({"source": "shop", "initial_load_chunk_days": 0}, "request_invalid"),
        ],
    )
    def test_refuses_what_cannot_be_and_keeps_nothing(self, admin_api, shop, body, code):
        for path in (REGISTER, PRECHECK):
            _refused(admin_api.post(path, {"name": "orders", **body}, **JSON), 422, code)

        assert not Table.objects.exists()
        assert not TableName.objects.exists()
        assert not Folder.objects.exists()

    @pytest.mark.parametrize("name", ["orders", "ORDERS", " Orders "])
    def test_refuses_a_name_that_is_taken_in_any_case(self, admin_api, shop, name):
        TableFactory(name="Orders", source=shop)

        _refused(
            admin_api.post(REGISTER, {"name": name, "source": "shop"}, **JSON), 409, "table_exists"
        )

    def test_makes_a_slug_of_a_name_that_is_none_and_keeps_the_name(self, admin_api, shop):
        body = {"name": "Objednávky 2024", "source": "shop"}

        name = admin_api.post(REGISTER, body, **JSON).json()["id"]

        assert name == "objednavky_2024"
        table = Table.objects.get(name=name)
        assert table.display_name == "Objednávky 2024"
        download = admin_api.get("/api/data/objednávky 2024/download")
        assert download.json()["code"] == "nothing_to_download"

    def test_refuses_a_body_of_an_analyst(self, api, shop):
        response = api.post(REGISTER, {"name": "orders", "source": "shop"}, **JSON)

        _refused(response, 403, "admin_required")
        assert not Table.objects.exists()


class TestPrecheck:
    def test_says_what_would_be_registered_and_keeps_nothing(self, admin_api, shop):
        body = {"name": "Orders 2024", "source": "shop", "bucket": "b", "folder": "Sales"}

        found = admin_api.post(PRECHECK, body, **JSON).json()

        assert found["ok"] is True
        assert (found["table"]["name"], found["table"]["bucket"]) == ("orders_2024", "b")
        assert not Table.objects.exists()
        assert not Folder.objects.exists()


class TestUpdateTable:
    @pytest.fixture
    def orders(self, shop):
        folder = Folder.objects.create(slug="sales")
        return TableFactory(
            name="orders", source=shop, description="Old.", folder=folder, primary_key=["id"],
            sync_schedule="every 6h", incremental_window_days=7,
        )  # fmt: skip

    def _update(self, client, body, name="orders"):
        return client.put(f"/api/admin/registry/{name}", body, **JSON)

    def test_changes_what_is_given_and_keeps_the_rest(self, admin_api, orders):
        response = self._update(admin_api, {"description": "New."})

        assert response.json() == {"id": "orders", "updated": ["description"]}
        orders.refresh_from_db()
        assert (orders.description, orders.primary_key) == ("New.", ["id"])
        assert orders.sync_schedule == "every 6h"

    def test_clears_what_is_null(self, admin_api, orders):
        body = {
            "description": None, "folder": None, "primary_key": None, "sync_schedule": None,
            "incremental_window_days": None,
        }  # fmt: skip

        assert sorted(self._update(admin_api, body).json()["updated"]) == sorted(body)
        orders.refresh_from_db()
        assert (orders.description, orders.folder, orders.primary_key) == ("", None, [])
        assert (orders.sync_schedule, orders.incremental_window_days) == ("", None)

    def test_names_nothing_that_was_so_before(self, admin_api, orders):
        body = {"description": "Old.", "folder": "SALES", "primary_key": ["id"]}

        assert self._update(admin_api, body).json()["updated"] == []
        assert not AuditEvent.objects.filter(action="update_table").exists()

    def test_records_both_states_of_what_changed(self, admin_api, orders):
        self._update(admin_api, {"description": "New."})

        event = AuditEvent.objects.get(action="update_table")
        assert (event.before, event.after) == ({"description": "Old."}, {"description": "New."})

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"sync_schedule": "hourly"}, "schedule_invalid"),
            ({"query_mode": "remote"}, "query_mode_unsupported"),
            ({"source_query": "SELECT 1"}, "table_invalid"),
            ({"sync_strategy": "partitioned"}, "table_invalid"),
            ({"name": "renamed"}, "request_invalid"),
            ({"source": "shop"}, "request_invalid"),
        ],
    )
    def test_refuses_what_cannot_be_and_changes_nothing(self, admin_api, orders, body, code):
        response = self._update(admin_api, {"description": "New.", **body})

        _refused(response, 422, code)
        orders.refresh_from_db()
        assert orders.description == "Old."

    def test_drops_the_query_of_a_table_that_is_materialized_no_more(self, admin_api, shop):
        TableFactory(
            name="totals", source=shop, query_mode=QueryMode.MATERIALIZED, source_query="SELECT 1"
        )

        self._update(admin_api, {"query_mode": "local"}, name="totals")

        assert Table.objects.get(name="totals").source_query == ""

    def test_knows_the_table_by_an_alias(self, admin_api, orders):
        TableName.objects.create(table=orders, name="Orders 2024")

        assert (
            self._update(admin_api, {"bucket": "b"}, name="orders%202024").json()["id"] == "orders"
        )

    def test_does_not_know_another(self, admin_api, shop):
        _refused(self._update(admin_api, {"bucket": "b"}), 404, "table_not_found")


class TestUnregisterTable:
    def test_removes_names_versions_and_grants(self, admin_api, analyst, api, grant, shop):
        orders = TableFactory(name="orders", source=shop)
        TableName.objects.create(table=orders, name="Orders 2024")
        publish(orders)
        grant(analyst, orders)

        response = admin_api.delete("/api/admin/registry/ORDERS")

        assert (response.status_code, response.content) == (204, b"")
        assert not TableName.objects.exists()
        assert not TableVersion.objects.exists()
        assert not Grant.objects.exists()
        assert api.get("/api/sync/manifest").json()["tables"] == {}
        actions = set(AuditEvent.objects.values_list("action", flat=True))
        assert {"unregister_table", "resource_grant.deleted"} <= actions

    def test_brings_no_grant_back_with_the_name(self, admin_api, analyst, api, grant, shop):
        grant(analyst, TableFactory(name="orders", source=shop))
        admin_api.delete("/api/admin/registry/orders")

        admin_api.post(REGISTER, {"name": "orders", "source": "shop"}, **JSON)

        assert api.get("/api/catalog/tables").json()["count"] == 0

    def test_is_404_the_second_time(self, admin_api, shop):
        TableFactory(name="orders", source=shop)
        admin_api.delete("/api/admin/registry/orders")

        _refused(admin_api.delete("/api/admin/registry/orders"), 404, "table_not_found")


class TestCatalogForAgents:
    def test_lists_only_what_is_granted_with_the_way_to_it(self, api, analyst, grant, shop):
        orders = TableFactory(name="orders", source=shop, description="One row an order.")
        publish(orders, stored_part(size=200 * 1024**2))
        kept = TableFactory(name="kept", source=shop, server_only=True)
        for table in (orders, kept, TableFactory(name="new", source=shop)):
            grant(analyst, table)
        publish(TableFactory(name="salaries", source=shop), stored_part(2))

        entries = {entry["id"]: entry for entry in api.get("/api/v2/catalog").json()["tables"]}

        assert sorted(entries) == ["kept", "new", "orders"]
        assert (entries["orders"]["rows"], entries["orders"]["rough_size_hint"]) == (10, "medium")
        assert "agnes query" in entries["orders"]["fetch_via"]
        assert entries["kept"]["query_mode"] == "remote"
        assert entries["new"]["rough_size_hint"] is None

    def test_names_the_columns_of_a_granted_table(self, api, analyst, grant, shop):
        orders = TableFactory(name="orders", source=shop)
        column = ColumnSpec(name="amount", type="DECIMAL(12,2)", nullable=False, description="USD")
        publish(orders, columns=[column])
        grant(analyst, orders)

        found = api.get("/api/v2/schema/ORDERS").json()

        assert (found["table_id"], found["source_type"]) == ("orders", "files")
        assert found["columns"] == [
            {"name": "amount", "type": "DECIMAL(12,2)", "nullable": False, "description": "USD"}
        ]

    def test_does_not_tell_what_is_not_granted_from_what_is_not_there(self, api, shop):
        TableFactory(name="salaries", source=shop)

        for name in ("salaries", "nosuch"):
            _refused(api.get(f"/api/v2/schema/{name}"), 404, "table_not_found")

    def test_shows_administrators_what_was_written_about_columns(self, admin_api, shop):
        orders = TableFactory(name="orders", source=shop)
        columns = [
            ColumnSpec(name="id", type="BIGINT"),
            ColumnSpec(name="amount", type="DOUBLE", description="What was paid."),
        ]
        publish(orders, columns=columns)

        found = admin_api.get("/api/admin/metadata/orders").json()

        assert found["columns"] == [
            {
                "column_name": "amount", "basetype": "DOUBLE", "description": "What was paid.",
                "source": "source",
            }
        ]  # fmt: skip


class TestPages:
    def test_are_given_to_those_who_ask(self, admin_api):
        TableFactory.create_batch(5)

        for path in ("/api/catalog/tables", "/api/admin/registry"):
            whole = admin_api.get(path).json()
            page = admin_api.get(path, {"limit": 2, "offset": 3}).json()

            assert (whole["count"], page["count"]) == (5, 5)
            assert page["tables"] == whole["tables"][3:5]

    def test_have_a_sensible_size(self, admin_api):
        assert admin_api.get("/api/catalog/tables", {"limit": 0}).status_code == 422
        assert admin_api.get("/api/catalog/tables", {"offset": -1}).status_code == 422
