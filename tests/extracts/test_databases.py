"""Tables of a database in the registry: queries checked when saved, changes merged by runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from django.urls import reverse

from agnes_site.core.errors import UpstreamError
from agnes_site.core.storage import Layout
from catalog import queries
from catalog.models import Table
from catalog.services import exchange
from extracts.models import Run, RunState
from extracts.services import extraction, runs
from tests.factories import SourceFactory

JSON = {"content_type": "application/json"}
QUERY = {"query_mode": "materialized", "source_table": ""}
INCREMENTAL = {"sync_strategy": "incremental", "primary_key": ["id"], "incremental_column": "at"}


@pytest.fixture
def execute(tmp_path):
    def run(script: str) -> None:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            database.executescript(script)

    run("""
        CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP);
        INSERT INTO orders VALUES (1, 'a', '2024-06-01 10:00:00'), (2, 'b', '2024-06-02 10:00:00')
    """)
    return run


@pytest.fixture
def shop(layout, db, tmp_path, execute):
    return SourceFactory(
        slug="shop", source_type="sqlite", config={"path": str(tmp_path / "shop.db")}
    )


@pytest.fixture
def register(admin_api, shop):
    def post(**fields):
        body = {"name": "orders", "source": "shop", "source_table": "orders", **fields}
        return admin_api.post("/api/admin/register-table", body, **JSON)

    return post


def extracted(*, is_full: bool = False) -> Run:
    run, _ = runs.request_run(table=Table.objects.get(), by=None, is_full=is_full)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


class TestQuery:
    def test_is_refused_in_the_words_of_the_source(self, register):
        response = register(**QUERY, source_query="SELECT nope FROM orders")

        assert response.status_code == 422
        assert "no such column: nope" in response.json()["message"]
        assert not Table.objects.exists()

    def test_is_refused_alike_when_it_is_only_tried(self, admin_api, shop):
        body = {"name": "orders", "source": "shop", "source_query": "SELECT nope FROM orders"}

        response = admin_api.post("/api/admin/register-table/precheck", QUERY | body, **JSON)

        assert "no such column: nope" in response.json()["message"]

    def test_is_run_when_it_is_right(self, register):
        made = register(**QUERY, source_query="SELECT name, id * 2 AS twice FROM orders")

        assert made.status_code == 201
        assert extracted().rows == 2

    def test_is_checked_again_only_when_it_changes(self, admin_api, register, execute):
        register(**QUERY, source_query="SELECT name FROM orders")
        execute("DROP TABLE orders")
        path = "/api/admin/registry/orders"

        kept = admin_api.put(path, {"description": "Names."}, **JSON)
        changed = admin_api.put(path, {"source_query": "SELECT id FROM orders"}, **JSON)

        assert (kept.status_code, changed.status_code) == (200, 422)

    def test_is_refused_beside_its_field_in_the_form(self, client, admin, shop, monkeypatch):
        asked = []
        checkers = [lambda source, query: asked.append(query), *queries._checkers]
        monkeypatch.setattr(queries, "_checkers", checkers)
        client.force_login(admin)
        form = {
            "new_name": "names", "query_mode": "materialized", "source_query": "SELECT 1; SELECT 2",
            "sync_strategy": "full_refresh", "drift_policy": "evolve", "primary_key": "",
        }  # fmt: skip

        url = f"{reverse('admin:catalog_table_add')}?source={shop.pk}"
        response = client.post(url, form)

        assert response.status_code == 200
        assert "SELECT" in str(response.context["adminform"].form.errors["source_query"])
        assert len(asked) == 1
        assert not Table.objects.exists()


def document(*queries_of: str, **source: str) -> bytes:
    tables = [
        f"  t{number}: {{source: shop, query_mode: materialized, source_query: '{query}'}}"
        for number, query in enumerate(queries_of)
    ]
    moved = [f"sources:\n  shop: {json.dumps(source)}"] if source else []
    return "\n".join(["agnes: 1", *moved, "tables:", *tables]).encode()


class TestImportedQuery:
    def bring(self, content: bytes):
        read = exchange.read(content)
        return exchange.apply(read, exactly=False, expected=None, by=None)

    def test_is_refused_with_its_line_before_anything_is_imported(self, shop):
        content = document("SELECT id FROM orders", "SELECT nope FROM orders")

        (problem,) = exchange.make(exchange.read(content), exactly=False, by=None).problems
        with pytest.raises(exchange.ImportRefusedError):
            self.bring(content)

        assert str(problem).startswith("line 4, table t1: ")
        assert "no such column: nope" in problem.message
        assert not Table.objects.exists()

    def test_is_imported_when_it_is_right(self, shop):
        self.bring(document("SELECT name, id * 2 AS twice FROM orders"))

        assert extracted().rows == 2

    def test_asks_a_source_that_does_not_answer_once(self, shop, monkeypatch):
        asked = []

        def fail(source, query):
            asked.append(query)
            raise UpstreamError("Nobody there.")

        monkeypatch.setattr(queries, "_checkers", [fail])
        read = exchange.read(document("SELECT 1", "SELECT 2"))

        plan = exchange.make(read, exactly=False, by=None)

        assert [problem.message for problem in plan.problems] == ["Nobody there."]
        assert asked == ["SELECT 1"]

    def test_is_not_asked_of_a_source_that_comes_with_it(self, shop, monkeypatch):
        asked = []
        monkeypatch.setattr(queries, "_checkers", [lambda source, query: asked.append(query)])

        self.bring(document("SELECT 1", display_name="Shop"))
        self.bring(document("SELECT 1", "SELECT 2"))

        assert asked == ["SELECT 2"]


class TestIncrementalTable:
    @pytest.mark.parametrize("missing", ["primary_key", "incremental_column"])
    def test_needs_a_key_and_a_cursor(self, register, missing):
        response = register(**{**INCREMENTAL, missing: None})

        assert (response.status_code, response.json()["code"]) == (422, "sync_strategy_unsupported")
        assert missing in response.json()["message"]

    def test_is_refused_where_the_connector_cannot(self, admin_api, db):
        SourceFactory(slug="files")
        body = {"name": "t", "source": "files", **INCREMENTAL}

        response = admin_api.post("/api/admin/register-table", body, **JSON)

        assert response.json()["code"] == "sync_strategy_unsupported"
        assert "full_refresh" in response.json()["hint"]

    def test_merges_changes_and_reads_in_full_when_asked(self, register, execute):
        register(**INCREMENTAL)
        extracted()
        execute("UPDATE orders SET name = 'unseen' WHERE id = 1")
        execute("UPDATE orders SET name = 'B', at = '2024-06-03 10:00:00' WHERE id = 2")

        merged = extracted()
        full = extracted(is_full=True)

        assert merged.state == full.state == RunState.SUCCEEDED
        assert "Merged" in merged.log
        assert "Merged" not in full.log
        assert full.version_number == 3

    def test_is_read_in_full_by_the_api_when_asked(self, admin_api, register):
        register(**INCREMENTAL)

        admin_api.post("/api/sync/trigger?full=true", ["orders"], **JSON)

        assert Run.objects.get().is_full


@pytest.mark.hostile(52)
class TestFullDisk:
    @pytest.fixture
    def layout(self, small_disk, settings):
        """Everything that the server keeps is on a small disk."""
        settings.LAYOUT = Layout(root=small_disk, state=small_disk / "state")
        settings.LAYOUT.create()
        return settings.LAYOUT

    def test_keeps_the_last_version_until_there_is_room(self, register, execute, layout):
        register(primary_key=["name"])
        first = extracted()
        execute("""
            WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 50000)
            INSERT INTO orders SELECT i, hex(randomblob(24)), '2024-06-03 10:00:00' FROM n
        """)

        failed = extracted()
        execute("DELETE FROM orders WHERE id > 10")
        again = extracted()

        assert (failed.state, failed.error_code) == (RunState.FAILED, "storage_full")
        assert "DATA_DIR" in failed.error_hint
        assert (first.version_number, again.version_number) == (1, 2)
        assert again.rows == 3
        assert not any(layout.tmp.iterdir())
