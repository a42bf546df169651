"""Remote tables that the extract of another producer lists: only what the operator allows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import pytest

from catalog.models import Incident, Source, Table
from extracts.engine import orchestrator
from extracts.models import Run, RunKind
from extracts.services import extraction, runs, scanning


@pytest.fixture
def folder(db, layout):
    """The folder of a producer, with a database of its own in it."""
    made = layout.extracts / "plant"
    made.mkdir()
    with closing(sqlite3.connect(made / "plant.db")) as database:
        database.execute("CREATE TABLE sensors (id INTEGER, place TEXT)")
        database.execute("INSERT INTO sensors VALUES (1, 'hall')")
        database.commit()
    return made


def _left(folder, *, extension="sqlite", token="", url=None, view="SELECT * FROM up.main.sensors"):
    """Leave an extract as a producer would."""
    url = url if url is not None else str(folder / "plant.db")
    with closing(duckdb.connect()) as connection:
        connection.execute("ATTACH ':memory:' AS up")
        connection.execute("CREATE TABLE up.main.sensors (id BIGINT, place VARCHAR)")
        connection.execute(f"ATTACH '{folder / 'extract.duckdb'}' AS extract")
        connection.execute("USE extract")
        connection.execute(f"CREATE VIEW sensors AS {view}")
        connection.execute("CREATE TABLE _meta (table_name VARCHAR, query_mode VARCHAR)")
        connection.execute("INSERT INTO _meta VALUES ('sensors', 'remote')")
        connection.execute(
            "CREATE TABLE _remote_attach (alias VARCHAR, extension VARCHAR, url VARCHAR,"
            " token_env VARCHAR)"
        )
        connection.execute(
            "INSERT INTO _remote_attach VALUES ('up', ?, ?, ?)", [extension, url, token]
        )
        connection.execute("USE memory")
        connection.execute("DETACH extract")


def _done(run: Run) -> Run:
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def _scanned_and_rebuilt() -> Run:
    scanning.scan()
    _done(Run.objects.open().get(kind=RunKind.EXTRACT))
    source = Source.objects.get(slug="plant")
    return _done(runs.request_run(source=source, kind=RunKind.REBUILD, by=None)[0])


def _allow(settings, *extensions, tokens=()):
    settings.CONFIG = settings.CONFIG.model_copy(
        update={"remote_attach_extensions": extensions, "remote_attach_token_envs": tokens}
    )


class TestRebuild:
    def test_shows_what_the_operator_allows(self, folder, layout, settings):
        _allow(settings, "sqlite")
        _left(folder)

        _scanned_and_rebuilt()

        table = Table.objects.get(name="sensors")
        assert (table.query_mode, [column.name for column in table.columns.all()]) == (
            "remote", ["id", "place"],
        )  # fmt: skip
        path = str(orchestrator.current(layout.analytics))
        with duckdb.connect(path, read_only=True) as connection:
            views = connection.sql("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
        assert ("CREATE VIEW sensors AS SELECT * FROM remote_plant.main.sensors;",) in views

    @pytest.mark.parametrize(
        ("left", "told"),
        [
            ({"extension": "postgres", "url": "host=127.0.0.1"}, "'postgres' is not allowed"),
            ({"extension": "sqlite; LOAD x"}, "cannot name an extension"),
            ({"token": "SESSION_SECRET"}, "SESSION_SECRET is not allowed"),
            ({"token": "DATABASE_URL"}, "may not be used for secrets"),
            ({"token": "lower case"}, "cannot name a variable"),
            ({"token": "KBC_TOKEN"}, "KBC_TOKEN is not set"),
            ({"url": "/etc/passwd"}, "has to lie in the folder of the extract"),
            ({"url": "{folder}/../../state/agnes.sqlite3"}, "has to lie in the folder"),
            ({"view": "SELECT id AS other, place FROM up.main.sensors"}, "one row of"),
        ],
    )
    def test_refuses_anything_else_and_says_what(self, folder, layout, settings, left, told):
        _allow(settings, "sqlite", tokens=("KBC_TOKEN", "DATABASE_URL"))
        if "url" in left:
            left = {**left, "url": left["url"].format(folder=folder)}
        _left(folder, **left)

        run = _scanned_and_rebuilt()

        assert told in run.log
        assert told in Incident.objects.get(closed_at=None).message
        path = orchestrator.current(layout.analytics)
        with duckdb.connect(str(path), read_only=True) as connection:
            assert connection.sql("FROM duckdb_views() WHERE NOT internal").fetchall() == []

    def test_allows_no_extension_of_a_database_by_default(self, folder):
        _left(folder)

        assert "'sqlite' is not allowed" in _scanned_and_rebuilt().log
