"""A server that is given something hostile, and has to be up afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from catalog.models import Source, Table
from extracts.models import Run
from extracts.services import extraction, runs
from tests.factories import SourceFactory, TableFactory

_META = (
    "CREATE TABLE _meta (table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT,"
    " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local')"
)


@pytest.fixture
def foreign(tmp_path) -> Callable[..., Source]:
    """Make a source of a foreign extract of one table: what the producer executes for it."""

    def make(name: str, *statements: str, folder: str = "foreign") -> Source:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        with duckdb.connect(place / "extract.duckdb") as connection:
            connection.execute(_META)
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO _meta (table_name) VALUES (?)", [name])
        return SourceFactory(source_type="external", config={"folder": str(place)})

    return make


@pytest.fixture
def run_of(layout, db) -> Callable[..., Run]:
    """Extract a table of a source as a worker does, and return its run."""

    def extract(source: Source, source_table: str, **fields) -> Run:
        table = TableFactory(source=source, source_table=source_table, **fields)
        run, _ = runs.request_run(table=table, by=None)
        extraction.execute(runs.claim(run.pk, worker="test"))
        return Run.objects.get(pk=run.pk)

    return extract


@pytest.fixture
def served(layout) -> Callable[[Run], list[dict]]:
    """Return the rows that the server hands out after a run."""

    def rows(run: Run) -> list[dict]:
        version = Table.objects.get(pk=run.table_id).current_version
        return [
            row
            for part in version.parts.order_by("ordinal")
            for row in pq.read_table(layout.stored(part.sha256)).to_pylist()
        ]

    return rows


@pytest.fixture
def is_up(tmp_path, run_of, served) -> Callable[[], bool]:
    """Say whether the server still brings an honest table."""

    def bring() -> bool:
        folder = tmp_path / "honest"
        folder.mkdir()
        (folder / "t.csv").write_text("id\n1\n")
        source = SourceFactory(config={"folder": str(folder)})
        return served(run_of(source, "t.csv")) == [{"id": 1}]

    return bring


@pytest.fixture
def source_folder(tmp_path) -> Path:
    """The folder of a source of files."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder
