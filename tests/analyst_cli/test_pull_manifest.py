"""Manifests that a pull must not follow, and what it does with those it can."""

from __future__ import annotations

import json

import pytest

from tests.analyst_cli.snapshots import snapshot

pytestmark = pytest.mark.usefixtures("signed_in", "workspace")


@pytest.mark.hostile(16)
class TestHostileManifest:
    @pytest.mark.parametrize(
        "name",
        ["../evil", "a/b", "..", ".hidden", "CON", "nul.x", "a\\b", "a\0b", "x" * 300, "a:b", "",
         "trailing.", "a\nb"],
    )  # fmt: skip
    def test_name_is_an_error_of_that_table_only(self, agnes, rows, server, workspace, name):
        server.publish(name, "SELECT 1 AS id")

        result = agnes("pull", "--json")

        report = json.loads(result.stdout)
        assert result.exit_code == 1
        assert [error["table"] for error in report["errors"]] == [name]
        assert rows("SHOW TABLES") == [("customers",), ("orders",)]
        assert set(snapshot(workspace)) == {"customers.parquet", "orders.parquet"}

    def test_name_that_is_odd_but_harmless_works(self, agnes, rows, server):
        server.publish("daily-revenue \"x\"'y'".replace('"', ""), "SELECT 1 AS id")

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("""FROM "daily-revenue x'y'" """) == [(1,)]

    def test_part_key_is_checked(self, agnes, rows, server, workspace):
        server.publish("issues", "SELECT 1 AS id", "SELECT 2 AS id", keys=("../../x", "b"))

        result = agnes("pull")

        assert result.exit_code == 1
        assert rows("SHOW TABLES") == [("customers",), ("orders",)]
        assert set(snapshot(workspace)) == {"customers.parquet", "orders.parquet"}

    @pytest.mark.parametrize(
        "change",
        [
            lambda entry: entry.update(parts="x"),
            lambda entry: entry["parts"][0].update(sha256="../../etc/passwd"),
            lambda entry: entry.update(rows="many"),
            lambda entry: entry.update(aliases=7),
            lambda entry: entry.update(parts=entry["parts"] * 2),
            lambda entry: entry.update(parts=[entry["parts"][0] | {"sha256": ""}] * 2),
        ],
    )
    def test_entry_is_an_error_of_that_table_and_keeps_the_good_copy(
        self, agnes, rows, server, change
    ):
        agnes("pull")
        server.manifest_changes["x"] = lambda tables: change(tables["orders"])

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        assert json.loads(result.stdout)["errors"][0]["code"] == "invalid_manifest_entry"
        assert rows("SELECT count(*) FROM orders") == [(3,)]

    def test_names_that_differ_by_case_do_not_share_a_file(self, agnes, rows, server):
        server.publish("ORDERS", "SELECT 1 AS id")

        result = agnes("pull")

        assert result.exit_code == 1
        assert rows("SELECT count(*) FROM orders") == [(3,)]

    @pytest.mark.hostile(48)
    def test_may_be_that_of_a_server_without_parts(self, agnes, rows, server):
        def older(tables):
            for entry in tables.values():
                for key in ("parts", "sha256", "version", "aliases"):
                    entry.pop(key)

        server.manifest_changes["older"] = older

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]
        server.seen.clear()
        agnes("pull")
        assert server.downloads() == []

    def test_that_is_no_manifest_changes_nothing(self, agnes, rows, server):
        agnes("pull")
        server.manifest_changes["none"] = lambda tables: tables.clear()
        server.manifest = lambda: {"hello": "world"}

        result = agnes("pull")

        assert result.exit_code == 1
        assert "did not send a manifest" in result.stderr
        assert rows("SELECT count(*) FROM orders") == [(3,)]
