"""What `agnes pull` leaves in a workspace."""

from __future__ import annotations

import json
import os
import shutil

import duckdb
import pytest

from tests.analyst_cli import agnes_server
from tests.analyst_cli.snapshots import snapshot

pytestmark = pytest.mark.usefixtures("signed_in", "workspace")


class TestPull:
    def test_brings_every_table(self, agnes, rows, workspace, server):
        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert snapshot(workspace) == {
            "orders.parquet": server.tables["orders"].parts[0].content,
            "customers.parquet": server.tables["customers"].parts[0].content,
        }
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert rows("DESCRIBE orders")[0][0] == "id"

    def test_reports_as_json(self, agnes):
        first = json.loads(agnes("pull", "--json").stdout)
        second = json.loads(agnes("pull", "--json").stdout)

        assert first["tables_updated"] == 2
        assert first["parquets_total"] == 2
        assert first["rows_total"] == 5
        assert first["bytes_downloaded"] > 0
        assert not first["not_modified"]
        assert second == first | {
            "tables_updated": 0, "bytes_downloaded": 0, "not_modified": True,
            "duration_s": second["duration_s"],
        }  # fmt: skip

    def test_downloads_only_what_changed(self, agnes, rows, server):
        agnes("pull")
        server.publish("orders", "SELECT 7 AS id, 'new' AS state")
        server.seen.clear()

        result = agnes("pull", "--json")

        assert json.loads(result.stdout)["tables_updated"] == 1
        assert [seen.path for seen in server.downloads()] == ["/api/data/orders/download?version=2"]
        assert rows("FROM orders") == [(7, "new")]

    def test_brings_an_available_table_when_asked_for_and_keeps_it_up_to_date(
        self, agnes, rows, server, workspace
    ):
        server.tables["orders"].tier = "available"
        agnes("pull")
        assert sorted(snapshot(workspace)) == ["customers.parquet"]
        assert json.loads(agnes("pull", "--json").stdout)["not_modified"]

        agnes("pull", "orders")
        assert sorted(snapshot(workspace)) == ["customers.parquet", "orders.parquet"]

        server.publish("orders", "SELECT 7 AS id")
        server.tables["orders"].tier = "available"
        agnes("pull")
        assert rows("FROM orders") == [(7,)]

    def test_asks_with_the_etag_it_has(self, agnes, server):
        agnes("pull")
        server.seen.clear()

        agnes("pull")

        assert [seen.status for seen in server.seen] == [304]

    def test_announces_that_it_understands_parts(self, agnes, server):
        agnes("pull")

        assert server.seen[0].headers["X-Agnes-Client"] == "agnes/1.0.0; parts"

    def test_creates_the_database_when_there_are_no_tables(self, agnes, rows, server):
        server.tables.clear()

        result = agnes("pull")

        assert result.exit_code == 0
        assert rows("SHOW TABLES") == []

    def test_leaves_remote_tables_on_the_server(self, agnes, rows, server):
        server.publish("events", "SELECT 1 AS id", query_mode="remote")

        result = agnes("pull")

        assert result.exit_code == 0
        assert rows("SHOW TABLES") == [("customers",), ("orders",)]

    def test_prints_a_line_per_file_when_there_is_no_terminal(self, agnes):
        result = agnes("pull")

        assert result.stdout == ""
        assert sorted(result.stderr.splitlines())[1:] == [
            "customers.parquet  " + result.stderr.split("customers.parquet  ")[1].split("\n")[0],
            "orders.parquet  " + result.stderr.split("orders.parquet  ")[1].split("\n")[0],
        ]
        assert "Updated 2 of 2 files, 5 rows" in result.stderr

    def test_is_silent_when_asked(self, agnes):
        result = agnes("pull", "--quiet")

        assert result.output == ""

    def test_fails_when_the_manifest_cannot_be_read(self, agnes, server, workspace):
        server.manifest_status = 500

        result = agnes("pull")

        assert result.exit_code == 5
        assert result.stderr == "Error: It broke. (request r-1)\nhint: Hint of internal_error.\n"
        assert snapshot(workspace) == {}

    def test_exits_with_4_when_the_token_is_refused(self, agnes, monkeypatch):
        monkeypatch.setenv("AGNES_TOKEN", "agn_pat_other")

        result = agnes("pull")

        assert result.exit_code == 4
        assert "does not accept the token" in result.stderr

    def test_keeps_the_tables_of_a_user_in_a_database_of_another_client(
        self, agnes, rows, workspace
    ):
        database = workspace / "user" / "duckdb" / "analytics.duckdb"
        database.parent.mkdir(parents=True)
        with duckdb.connect(str(database)) as connection:
            connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")

        result = agnes("pull")

        assert "is kept as analytics-" in result.stderr
        assert rows("SELECT count(*) FROM orders") == [(3,)]
        (kept,) = database.parent.glob("analytics-*.duckdb")
        with duckdb.connect(str(kept), read_only=True) as connection:
            assert connection.sql("FROM mine").fetchall() == [(42,)]


class TestTablesOfSeveralParts:
    QUERIES = ("SELECT 1 AS id, 'a' AS text", "SELECT 2 AS id, 'b' AS text")

    def test_have_a_folder_and_one_view(self, agnes, rows, server, workspace):
        server.publish("issues", *self.QUERIES, keys=("2026-01", "2026-02"))

        agnes("pull")

        assert {"issues/0-2026-01.parquet", "issues/1-2026-02.parquet"} < set(snapshot(workspace))
        assert rows("FROM issues ORDER BY id") == [(1, "a"), (2, "b")]

    def test_download_one_part_when_one_has_changed(self, agnes, rows, server):
        server.publish("issues", *self.QUERIES, keys=("2026-01", "2026-02"))
        agnes("pull")
        server.publish(
            "issues", self.QUERIES[0], "SELECT 3 AS id, 'c' AS text", keys=("2026-01", "2026-02")
        )
        server.seen.clear()

        agnes("pull")

        assert len(server.downloads()) == 1
        assert rows("FROM issues ORDER BY id") == [(1, "a"), (3, "c")]

    def test_may_become_one_file_and_back(self, agnes, rows, server, workspace):
        server.publish("issues", *self.QUERIES, keys=("a", "b"))
        agnes("pull")
        server.publish("issues", self.QUERIES[0])

        agnes("pull")

        assert set(snapshot(workspace)) == {
            "issues.parquet", "orders.parquet", "customers.parquet",
        }  # fmt: skip
        assert not (workspace / "server" / "parquet" / "issues").exists()
        server.publish("issues", *self.QUERIES, keys=("a", "b"))
        agnes("pull")
        assert rows("SELECT count(*) FROM issues") == [(2,)]
        assert "issues.parquet" not in snapshot(workspace)

    def test_may_have_columns_that_older_parts_lack(self, agnes, rows, server):
        server.publish("issues", "SELECT 1 AS id", "SELECT 2 AS id, 'x' AS more", keys=("a", "b"))

        agnes("pull")

        assert rows("FROM issues ORDER BY id") == [(1, None), (2, "x")]

    def test_may_hold_the_same_content_twice(self, agnes, rows, server):
        server.publish("issues", self.QUERIES[0], self.QUERIES[0], keys=("a", "b"))

        result = agnes("pull")

        assert result.exit_code == 0
        assert rows("FROM issues") == [(1, "a"), (1, "a")]


class TestAliases:
    def test_are_views_too(self, agnes, rows, server):
        server.publish("t_2024_orders", "SELECT 1 AS id", aliases=("2024-orders", 'a"b'))

        agnes("pull")

        assert rows('FROM "2024-orders"') == [(1,)]
        assert rows('FROM "a""b"') == [(1,)]

    def test_never_replace_a_table(self, agnes, rows, server):
        server.publish("other", "SELECT 99 AS id", aliases=("ORDERS",))

        result = agnes("pull")

        assert result.exit_code == 0
        assert rows("SELECT count(*) FROM orders") == [(3,)]

    def test_follow_the_manifest(self, agnes, rows, server):
        server.tables["orders"].aliases = ("old_name",)
        agnes("pull")
        server.tables["orders"].aliases = ("new_name",)

        agnes("pull")

        assert rows("SHOW TABLES") == [("customers",), ("new_name",), ("orders",)]


@pytest.mark.hostile(46)
class TestRevokedTable:
    def test_is_gone_after_the_next_pull_and_nothing_else_is(self, agnes, rows, server, workspace):
        agnes("pull")
        own = workspace / "server" / "parquet" / "my_own.parquet"
        own.write_bytes(b"mine")
        del server.tables["orders"]

        result = agnes("pull", "--json")

        assert json.loads(result.stdout)["removed"] == 1
        assert rows("SHOW TABLES") == [("customers",)]
        assert set(snapshot(workspace)) == {"customers.parquet", "my_own.parquet"}
        assert list(workspace.rglob("orders*")) == []

    def test_that_was_revoked_during_the_pull_does_no_harm(self, agnes, rows, server):
        def revoke():
            server.tables.pop("orders", None)

        server.before_download = revoke

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SHOW TABLES") == [("customers",)]

    def test_of_a_replaced_version_is_looked_up_again(self, agnes, rows, server, monkeypatch):
        monkeypatch.setenv("AGNES_PULL_PARALLELISM", "1")
        versions = iter(["SELECT 2 AS id"])  # published while customers is being downloaded

        def publish():
            for query in versions:
                server.publish("orders", query)

        server.before_download = publish

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("FROM orders") == [(2,)]


@pytest.mark.hostile(45)
class TestHealing:
    """The server answers 304, and the files are not what they were."""

    @pytest.fixture(autouse=True)
    def pulled(self, signed_in, agnes, workspace):
        agnes("pull")
        self.path = workspace / "server" / "parquet" / "orders.parquet"
        self.good = self.path.read_bytes()

    def _is_healed(self, agnes, rows):
        result = agnes("pull")
        return (
            result.exit_code == 0
            and self.path.read_bytes() == self.good
            and not self.path.is_symlink()
            and rows("SELECT sum(amount) FROM orders") == [(30,)]
        )

    def test_brings_back_a_deleted_file(self, agnes, rows):
        self.path.unlink()

        assert self._is_healed(agnes, rows)

    def test_replaces_an_edited_file(self, agnes, rows):
        self.path.write_bytes(self.good[:-1] + b"x")

        assert self._is_healed(agnes, rows)

    def test_replaces_a_link(self, agnes, rows, tmp_path):
        elsewhere = tmp_path / "elsewhere.parquet"
        elsewhere.write_bytes(self.good)
        self.path.unlink()
        self.path.symlink_to(elsewhere)

        assert self._is_healed(agnes, rows)
        assert elsewhere.read_bytes() == self.good

    def test_takes_out_an_edited_file_until_a_good_one_comes(
        self, agnes, rows, server, monkeypatch
    ):
        monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
        self.path.write_bytes(self.good[:-1] + b"x")
        server.fail("orders", agnes_server.damaged)

        failed = agnes("pull")

        assert failed.exit_code == 1
        assert rows("SHOW TABLES") == [("customers",)]
        assert self._is_healed(agnes, rows)

    def test_believes_a_touched_file_after_reading_it(self, agnes, rows, server):
        os.utime(self.path, (1, 1))
        server.seen.clear()

        assert self._is_healed(agnes, rows)
        assert server.downloads() == []

    def test_builds_a_deleted_database(self, agnes, rows, workspace):
        (workspace / "user" / "duckdb" / "analytics.duckdb").unlink()

        assert self._is_healed(agnes, rows)

    def test_builds_a_damaged_database(self, agnes, rows, workspace):
        (workspace / "user" / "duckdb" / "analytics.duckdb").write_bytes(b"not a database")

        assert self._is_healed(agnes, rows)

    def test_links_the_files_of_the_database_again(self, agnes, rows, workspace):
        shutil.rmtree(workspace / "server" / ".generations")

        assert self._is_healed(agnes, rows)

    @pytest.mark.parametrize("name", ["state.json", "manifest.json"])
    @pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 1}', '{"format": 99}'])
    def test_does_without_a_record(self, agnes, rows, server, workspace, name, content):
        (workspace / ".agnes" / name).write_text(content)
        server.seen.clear()

        assert self._is_healed(agnes, rows)
        assert server.downloads() == []

    def test_works_after_the_workspace_was_moved(self, agnes, workspace, monkeypatch):
        moved = workspace.parent / "moved, with a comma"
        workspace.rename(moved)
        monkeypatch.chdir(moved)

        asked = agnes("query", "SELECT sum(amount) AS s FROM orders", "--json")
        pulled = agnes("pull", "--json")

        assert json.loads(asked.stdout) == [{"s": "30"}] or json.loads(asked.stdout) == [{"s": 30}]
        assert json.loads(pulled.stdout)["bytes_downloaded"] == 0


class TestNamedTables:
    def test_are_pulled_alone(self, agnes, rows, server):
        result = agnes("pull", "orders")

        assert result.exit_code == 0
        assert rows("SHOW TABLES") == [("orders",)]
        agnes("pull")
        assert rows("SHOW TABLES") == [("customers",), ("orders",)]

    def test_leave_the_others_as_they_are(self, agnes, rows, server):
        agnes("pull")
        server.publish("orders", "SELECT 1 AS id")
        server.publish("customers", "SELECT 99 AS id")

        agnes("pull", "orders")

        assert rows("FROM orders") == [(1,)]
        assert rows("SELECT count(*) FROM customers") == [(2,)]
        agnes("pull")
        assert rows("FROM customers") == [(99,)]

    def test_that_do_not_exist_are_an_error_with_a_hint(self, agnes):
        result = agnes("pull", "ordres")

        assert result.exit_code == 1
        assert "There is no table named 'ordres'." in result.stderr
        assert "Did you mean orders?" in result.stderr


class TestDryRun:
    def test_says_what_would_be_done_and_does_nothing(self, agnes, server, workspace):
        before = sorted(workspace.rglob("*"))

        result = agnes("pull", "--dry-run", "--json")

        report = json.loads(result.stdout)
        assert report["would_update"] == ["customers", "orders"]
        assert report["tables_updated"] == 2
        assert report["bytes_to_download"] > 0
        assert sorted(workspace.rglob("*")) == before
        assert server.downloads() == []

    def test_names_the_tables_that_would_come_and_go(self, agnes, server):
        agnes("pull")
        server.publish("orders", "SELECT 1 AS id")
        del server.tables["customers"]

        result = agnes("pull", "--dry-run")

        assert result.stdout == "would download  orders\nwould remove    customers\n"
        assert "to download." in result.stderr


@pytest.mark.hostile(42)
class TestReaderOfTheLastDatabase:
    def test_goes_on_reading_the_files_it_was_opened_with(self, agnes, server, workspace):
        agnes("pull")
        database = workspace / "user" / "duckdb" / "analytics.duckdb"
        with duckdb.connect(str(database), read_only=True) as connection:
            server.publish("orders", "SELECT 'other' AS shape")

            result = agnes("pull")

            assert result.exit_code == 0, result.output
            assert connection.sql("SELECT sum(amount) FROM orders").fetchall() == [(30,)]

    def test_finds_them_gone_only_after_one_more_pull(self, agnes, server, workspace):
        generations = workspace / "server" / ".generations"
        agnes("pull")
        server.publish("orders", "SELECT 1 AS id")
        agnes("pull")
        assert len(list(generations.iterdir())) == 2

        agnes("pull")

        assert len(list(generations.iterdir())) == 1
