"""The manifest: what one caller may download."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from access.models import EVERYONE, Group, Tier
from access.services import grants, groups, tokens
from catalog.connectors import QueryMode
from catalog.models import Folder, TableName
from catalog.services import manifest, registry
from catalog.services.versions import Combined
from tests.conftest import ApiClient
from tests.factories import SourceFactory, TableFactory, publish, stored_part

URL = "/api/sync/manifest"


def _tables(client, **headers) -> dict:
    response = client.get(URL, headers=headers)
    assert response.status_code == 200
    return response.json()["tables"]


class TestManifest:
    def test_lists_what_is_granted_and_nothing_else(self, api, analyst, grant):
        orders, salaries = TableFactory(name="orders"), TableFactory(name="salaries")
        publish(orders)
        publish(salaries, stored_part(2))
        grant(analyst, orders)

        assert list(_tables(api)) == ["orders"]

    def test_has_the_shape_that_older_clients_read(self, api, analyst, grant):
        orders = TableFactory(name="orders")
        publish(orders, stored_part(7, size=123, rows=4))
        grant(analyst, orders)

        entry = _tables(api)["orders"]

        assert entry["hash"] == f"{7:032x}"
        assert (entry["size_bytes"], entry["rows"]) == (123, 4)
        assert (entry["query_mode"], entry["source_type"]) == ("local", "files")
        assert entry["version"] == 1
        assert entry["tier"] == "required"

    def test_leaves_out_a_table_without_a_version_and_lists_a_remote_one(self, api, analyst, grant):
        TableFactory(name="empty")
        remote = TableFactory(name="events", query_mode=QueryMode.REMOTE)
        grant(analyst, remote)

        entry = _tables(api)
        assert list(entry) == ["events"]
        assert entry["events"]["hash"] == ""

    def test_names_what_is_granted_and_has_no_data_yet(self, api, analyst, grant):
        grant(analyst, TableFactory(name="orders"))
        TableFactory(name="salaries")

        assert api.get(URL).json()["waiting"] == ["orders"]

    def test_shows_all_to_administrators(self, admin_api):
        publish(TableFactory(name="orders"))

        assert list(_tables(admin_api)) == ["orders"]

    def test_covers_folders_sources_and_everyone(self, api, analyst):
        folder = Folder.objects.create(slug="sales")
        source = SourceFactory(slug="shop")
        publish(TableFactory(name="in_folder", folder=folder), stored_part(1))
        publish(TableFactory(name="of_source", source=source), stored_part(2))
        publish(TableFactory(name="neither"), stored_part(3))
        everyone = Group.objects.get(name=EVERYONE)
        grants.grant(group=everyone, resource_type="folder", resource_id="sales", by=None)
        grants.grant(
            group=everyone,
            resource_type="source",
            resource_id="shop",
            by=None,
            tier=Tier.AVAILABLE,
        )

        tables = _tables(api)

        assert sorted(tables) == ["in_folder", "of_source"]
        assert tables["in_folder"]["tier"] == "required"
        assert tables["of_source"]["tier"] == "available"

    def test_names_parts_only_to_clients_that_know_them(self, api, analyst, grant):
        table = TableFactory(name="issues")
        publish(table, stored_part(1, key="2026-01"), stored_part(2, key="2026-02"))
        grant(analyst, table)

        old = _tables(api)["issues"]
        new = _tables(api, **{"X-Agnes-Client": "agnes/1.0.0; parts"})["issues"]

        assert (old["query_mode"], old["parts"]) == ("remote", [])
        assert [part["key"] for part in new["parts"]] == ["2026-01", "2026-02"]
        assert new["query_mode"] == "local"

    def test_names_the_one_file_of_all_parts_to_clients_that_know_no_parts(
        self, api, analyst, grant
    ):
        table = TableFactory(name="issues")
        combined = Combined(sha256="c" * 64, md5="d" * 32, bytes=150)
        parts = stored_part(1, key="2026-01"), stored_part(2, key="2026-02")
        publish(table, *parts, combined=combined)
        grant(analyst, table)

        old = _tables(api)["issues"]
        new = _tables(api, **{"X-Agnes-Client": "agnes/1.0.0; parts"})["issues"]

        assert (old["query_mode"], old["parts"]) == ("local", [])
        assert (old["sha256"], old["hash"], old["size_bytes"]) == ("c" * 64, "d" * 32, 150)
        assert [part["key"] for part in new["parts"]] == ["2026-01", "2026-02"]

    def test_narrows_to_the_tables_of_a_token(self, analyst, grant):
        for name in ("orders", "customers"):
            table = TableFactory(name=name)
            publish(table)
            grant(analyst, table)
        made = tokens.create(user=analyst, name="narrow", by=None, only=["orders"])

        assert list(_tables(ApiClient(made.secret))) == ["orders"]

    def test_grows_by_rows_not_by_queries(self, api, analyst, grant, django_assert_max_num_queries):
        for number in range(20):
            table = TableFactory()
            publish(table, stored_part(number + 1))
            grant(analyst, table)

        with django_assert_max_num_queries(4):
            first = _tables(api)
        # The one who calls, and which tables they may read.
        with django_assert_max_num_queries(2):
            again = _tables(api)

        assert len(first) == 20
        assert again == first

    def test_forgets_old_entries_and_makes_them_again(self, api, analyst, grant, monkeypatch):
        monkeypatch.setattr(manifest, "_MADE_AT_MOST", 2)
        monkeypatch.setattr(manifest, "_AT_ONCE", 2)
        for number in range(5):
            table = TableFactory()
            publish(table, stored_part(number + 1))
            grant(analyst, table)

        tables = _tables(api)

        assert {entry["hash"] for entry in tables.values()} == {f"{n:032x}" for n in range(1, 6)}
        assert len(manifest._made) == 2
        assert _tables(api) == tables

    def test_forgets_old_entries_while_others_add_theirs(self, monkeypatch):
        monkeypatch.setattr(manifest, "_made", {})
        monkeypatch.setattr(manifest, "_MADE_AT_MOST", 100)
        usual = sys.getswitchinterval()

        def remember(reader: int) -> None:
            for number in range(5_000):
                manifest._remember({(reader, number, place): b"" for place in range(5)})

        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(max_workers=8) as readers:
                list(readers.map(remember, range(8)))
        finally:
            sys.setswitchinterval(usual)

        assert len(manifest._made) <= 100

    def test_says_to_each_reader_how_a_table_reaches_them(self, analyst, admin_api, grant):
        table = TableFactory(name="orders")
        publish(table)
        grant(analyst, table, tier=Tier.AVAILABLE)
        secret = tokens.create(user=analyst, name="laptop", by=None).secret

        assert _tables(ApiClient(secret))["orders"]["tier"] == "available"
        assert _tables(admin_api)["orders"]["tier"] == "required"

    def test_lists_all_aliases(self, admin_api):
        table = TableFactory(name="orders")
        publish(table)
        for name in ("sales orders", "Bestellungen"):
            TableName.objects.create(table=table, name=name)

        assert _tables(admin_api)["orders"]["aliases"] == ["Bestellungen", "sales orders"]


class TestNotModified:
    def test_costs_one_query(self, api, analyst, grant, django_assert_num_queries):
        orders = TableFactory(name="orders")
        publish(orders)
        grant(analyst, orders)
        etag = api.get(URL)["ETag"]

        with django_assert_num_queries(1):
            response = api.get(URL, headers={"If-None-Match": etag})

        assert response.status_code == 304
        assert response["ETag"] == etag

    @pytest.mark.parametrize(
        "change", ["publish", "grant", "revoke", "unregister", "rename", "leave", "roll_back"]
    )
    def test_ends_when_the_answer_changes(self, api, analyst, grant, change):
        orders, other = TableFactory(name="orders"), TableFactory(name="other")
        publish(orders)
        publish(other, stored_part(9))
        grant(analyst, orders)
        etag = api.get(URL)["ETag"]
        membership = analyst.memberships.get()

        if change == "publish":
            publish(orders, stored_part(2))
        elif change == "grant":
            grant(analyst, other)
        elif change == "revoke":
            grants.revoke(given=membership.group.grants.get(), by=None)
        elif change == "unregister":
            registry.unregister_table(table=orders, by=None)
        elif change == "rename":
            registry.update_table(table=orders, by=None, folder="sales")
        elif change == "leave":
            groups.remove_member(membership=membership, by=None)
        else:
            registry.update_table(table=orders, by=None, server_only=True)

        response = api.get(URL, headers={"If-None-Match": etag})
        assert response.status_code == 200
        assert response["ETag"] != etag

    def test_goes_on_when_somebody_elses_table_changes(self, api, analyst, grant):
        orders, other = TableFactory(name="orders"), TableFactory(name="other")
        publish(orders)
        publish(other, stored_part(9))
        grant(analyst, orders)
        etag = api.get(URL)["ETag"]

        publish(other, stored_part(10))

        assert api.get(URL, headers={"If-None-Match": etag}).status_code == 304

    def test_same_parts_make_no_new_version_and_move_nothing(self, api, analyst, grant):
        orders = TableFactory(name="orders")
        publish(orders)
        grant(analyst, orders)
        etag = api.get(URL)["ETag"]

        publish(orders)

        assert orders.versions.count() == 1
        assert api.get(URL, headers={"If-None-Match": etag}).status_code == 304


class TestStrangers:
    @pytest.mark.parametrize("header", ["", "Bearer nonsense", "Bearer agn_pat_x", "Basic abc"])
    def test_are_asked_to_sign_in(self, client, db, header):
        response = client.get(URL, headers={"Authorization": header} if header else {})

        assert response.status_code == 401
        body = response.json()
        assert body["code"] == body["detail"]["code"] == "not_signed_in"
        assert response["X-Request-Id"] == body["request_id"]


@pytest.mark.hostile(55)
class TestManifestDuringAPublish:
    @pytest.mark.parametrize("asked", ["catalog_table", "catalog_tablepart"])
    def test_lists_the_files_of_the_version_it_names(self, api, analyst, grant, asked):
        orders = TableFactory(name="orders")
        publish(orders, stored_part(1))
        grant(analyst, orders)
        pending = [stored_part(2)]

        def publish_meanwhile(execute, sql, params, many, context):
            answer = execute(sql, params, many, context)
            if pending and f'FROM "{asked}"' in sql:
                publish(orders, pending.pop())
            return answer

        with connection.execute_wrapper(publish_meanwhile):
            entry = _tables(api, **{"X-Agnes-Client": "agnes/1.0.0; parts"})["orders"]

        assert not pending
        assert entry["sha256"] == f"{entry['version']:064x}"
        assert [part["sha256"] for part in entry["parts"]] == [entry["sha256"]]
