"""Remote tables of a file of SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import pytest
from django.utils import timezone

from agnes_site.core.sql import quote_literal
from catalog.services import registry, sources
from extracts.engine import extensions, orchestrator
from extracts.models import RunKind, RunState
from extracts.services import extraction, previewing, remote, runs
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def table(db, layout, tmp_path, settings):
    folder = tmp_path / "plant's"
    folder.mkdir()
    settings.CONFIG = settings.CONFIG.model_copy(update={"files_roots": (folder,)})
    with closing(sqlite3.connect(folder / "plant.db")) as database:
        database.execute('CREATE TABLE "sen""sors" (id INTEGER PRIMARY KEY, place TEXT)')
        database.execute("""INSERT INTO "sen""sors" VALUES (1, 'hall')""")
        database.commit()
    source = sources.add_source(
        slug="plant", source_type="sqlite", config={"path": str(folder / "plant.db")}, by=None
    )
    return registry.register_table(
        source=source, name="sensors", source_table='sen"sors', query_mode="remote", by=None
    )


def test_is_a_view_for_whoever_attaches_the_file(table, layout):
    run, _ = runs.request_run(source=table.source, kind=RunKind.REBUILD, by=None)
    extraction.execute(runs.claim(run.pk, worker="test"))

    extract = str(layout.extracts / "plant" / "extract.duckdb")
    with duckdb.connect(extract, read_only=True) as connection:
        (attach,) = connection.sql("FROM _remote_attach").fetchall()
    alias, extension, url, token = attach
    assert (alias, extension, token) == ("remote_plant", "sqlite", "")
    path = str(orchestrator.current(layout.analytics))
    with duckdb.connect(path, read_only=True) as connection:
        extensions.load(connection, "sqlite_scanner")
        connection.execute(f"ATTACH {quote_literal(url)} AS {alias} (TYPE sqlite, READ_ONLY)")
        assert connection.sql("FROM sensors").fetchall() == [(1, "hall")]


def test_is_never_extracted(table, layout):
    run, _ = runs.request_run(table=table, by=None)

    extraction.execute(runs.claim(run.pk, worker="test"))

    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.SKIPPED, "table_is_remote")
    assert not table.versions.exists()


def test_is_looked_for_in_few_queries(table, django_assert_num_queries):
    for number in range(5):
        source = SourceFactory(source_type="sqlite", config={"path": f"/{number}.db"})
        TableFactory(source=source, source_table="t", query_mode="remote")

    with django_assert_num_queries(3):
        found = remote.due(now=timezone.now())

    assert len(found) == 6


def test_shows_its_first_rows(table):
    found = previewing.first_remote_rows(table)

    assert (list(found.columns), found.rows) == (["id", "place"], [["1", "hall"]])
