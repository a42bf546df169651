"""Sources that have fewer rows, other columns, keys twice or a fault: the last version stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from catalog.connectors import DriftPolicy
from catalog.models import Source, Table
from extracts.models import Run, RunState
from extracts.services import extraction, runs
from tests.factories import SourceFactory, TableFactory

pytestmark = pytest.mark.hostile(53)

Rows = list[tuple]


class Files:
    """A folder with one CSV file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "orders.csv"

    def source(self) -> Source:
        return SourceFactory(config={"folder": str(self.file.parent)})

    def write(self, names: str, rows: Rows) -> None:
        lines = [names, *(",".join(map(str, row)) for row in rows)]
        self.file.write_text("\n".join(lines) + "\n")

    def damage(self) -> None:
        """Break the last of many rows."""
        self.write("id,name", [(number, "x" * 50) for number in range(50_000)])
        with self.file.open("a") as file:
            file.write('50000,"never closed\n')


class Sqlite:
    """A database with one table."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shop.sqlite3"

    def source(self) -> Source:
        return SourceFactory(source_type="sqlite", config={"path": str(self.file)})

    def write(self, names: str, rows: Rows) -> None:
        self.file.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute(f'CREATE TABLE "orders.csv" ({names})')
            places = ",".join("?" * len(names.split(",")))
            database.executemany(f'INSERT INTO "orders.csv" VALUES ({places})', rows)

    def damage(self) -> None:
        """Break a page in the middle of many rows."""
        self.write("id,name", [(number, "x" * 50) for number in range(50_000)])
        size = self.file.stat().st_size
        with self.file.open("r+b") as file:
            file.seek(size // 2)
            file.write(b"\xff" * 8192)


@pytest.fixture(params=[Files, Sqlite])
def upstream(request, source_folder) -> Files | Sqlite:
    return request.param(source_folder)


@pytest.fixture
def again(layout, db) -> Callable[[Table], Run]:
    """Extract a table as a worker does, and return its run."""

    def extract(table: Table) -> Run:
        run, _ = runs.request_run(table=table, by=None)
        extraction.execute(runs.claim(run.pk, worker="test"))
        return Run.objects.get(pk=run.pk)

    return extract


@pytest.fixture
def brought(upstream, again) -> Callable[..., Table]:
    """Register and extract a table of three rows."""

    def bring(**fields) -> Table:
        upstream.write("id,name", [(1, "a"), (2, "b"), (3, "c")])
        table = TableFactory(
            source=upstream.source(), name="orders", source_table="orders.csv", **fields
        )
        assert again(table).state == RunState.SUCCEEDED
        return table

    return bring


GOOD = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}]


class TestSourceWithFewerRows:
    def test_is_believed_and_can_be_undone(self, upstream, brought, again, served):
        table = brought()
        upstream.write("id,name", [(2, "b")])

        run = again(table)

        assert (run.state, run.rows) == (RunState.SUCCEEDED, 1)
        assert served(run) == [{"id": 2, "name": "b"}]
        assert table.versions.count() == 2

    def test_or_none_keeps_its_columns(self, upstream, brought, again, served):
        table = brought()
        upstream.write("id,name", [])

        run = again(table)

        assert (run.state, run.rows) == (RunState.SUCCEEDED, 0)
        assert served(run) == []
        assert list(table.columns.values_list("name", flat=True)) == ["id", "name"]
        assert table.versions.get(number=1).rows == 3


class TestSourceWithOtherColumns:
    def test_is_followed_where_that_is_wanted(self, upstream, brought, again, served):
        table = brought(drift_policy=DriftPolicy.EVOLVE)
        upstream.write("id,title", [(1, "x")])

        assert served(again(table)) == [{"id": 1, "title": "x"}]

    def test_is_held_where_it_is_not(self, upstream, brought, again, served):
        table = brought(drift_policy=DriftPolicy.FAIL)
        upstream.write("id,title", [(1, "x")])

        run = again(table)

        assert (run.state, run.error_code) == (RunState.FAILED, "schema_drift")
        assert served(run) == GOOD
        assert "title" in table.incidents.get().message


class TestSourceWithAFault:
    def test_of_keys_that_come_twice_is_refused(self, upstream, brought, again, served):
        table = brought(primary_key=["id"])
        upstream.write("id,name", [(1, "a"), (2, "b"), (1, "c")])

        run = again(table)

        assert (run.state, run.error_code) == (RunState.FAILED, "primary_key_duplicate")
        assert served(run) == GOOD

    def test_in_the_middle_is_refused(self, upstream, brought, again, served):
        table = brought()
        upstream.damage()

        run = again(table)

        assert run.state == RunState.FAILED
        assert run.error_message
        assert run.error_code != "internal_error"
        assert served(run) == GOOD
        upstream.write("id,name", [(4, "d")])
        assert served(again(table)) == [{"id": 4, "name": "d"}]
