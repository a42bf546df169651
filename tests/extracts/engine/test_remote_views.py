"""Views over remote tables, made while an empty catalog stands in for the real one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from extracts.engine.remote_views import RemoteView, standing_in

HOSTILE = "x\"); ATTACH 'y' AS z; --"


def _view(table: str = "orders", *columns: tuple[str, str], alias: str = "remote_a") -> RemoteView:
    known = columns or (("id", "BIGINT"),)
    return RemoteView(alias=alias, schema="public", table=table, columns=known)


def _written(path: Path, *views: RemoteView) -> list[bool]:
    with closing(duckdb.connect(str(path))) as connection, standing_in(connection, views) as usable:
        for number, view in enumerate(views):
            if view in usable:
                connection.execute(f"CREATE VIEW v{number} AS SELECT * FROM {view.place}")
        return [view in usable for view in views]


def _attached(path: Path, upstream: str) -> duckdb.DuckDBPyConnection:
    real = path.with_name("upstream.duckdb")
    with closing(duckdb.connect(str(real))) as connection:
        connection.execute(f"CREATE SCHEMA public; CREATE TABLE public.{upstream}")
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute(f"ATTACH '{real}' AS remote_a (READ_ONLY)")
    return connection


class TestStandingIn:
    def test_the_view_reads_the_real_catalog_later(self, tmp_path):
        path = tmp_path / "a.duckdb"
        assert _written(path, _view()) == [True]

        with closing(_attached(path, "orders AS SELECT 7::BIGINT AS id")) as connection:
            assert connection.sql("FROM v0").fetchall() == [(7,)]

    def test_the_file_opens_without_the_catalog_and_tells_its_columns(self, tmp_path):
        path = tmp_path / "a.duckdb"
        kinds = ("DECIMAL(12,2)", "ENUM('a', 'o''k')", "INTEGER[]", 'STRUCT("a b" INTEGER)')
        _written(path, _view("t", *((f"c{n}", kind) for n, kind in enumerate(kinds))))

        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            found = connection.sql("SELECT data_type FROM duckdb_columns() WHERE NOT internal")
            assert [kind for (kind,) in found.fetchall()] == list(kinds)
            with pytest.raises(duckdb.BinderException, match="remote_a"):
                connection.sql("FROM v0")

    def test_two_catalogs_stand_side_by_side(self, tmp_path):
        views = (_view(), _view(alias="remote_b"))

        assert _written(tmp_path / "a.duckdb", *views) == [True, True]

    def test_names_are_only_names(self, tmp_path):
        path = tmp_path / "a.duckdb"
        view = RemoteView(
            alias="remote_a", schema=HOSTILE, table=HOSTILE, columns=((HOSTILE, "INTEGER"),)
        )

        assert _written(path, view) == [True]
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            assert connection.sql(
                "SELECT column_name FROM duckdb_columns() WHERE NOT internal"
            ).fetchall() == [(HOSTILE,)]

    @pytest.mark.parametrize(
        "kind",
        ["INTEGER); CREATE TABLE remote_a.x (a INTEGER", "NO_SUCH_TYPE", ""],
    )
    def test_a_type_that_is_none_makes_no_view_and_stops_nobody(self, tmp_path, kind):
        views = (_view("bad", ("a", kind)), _view("good"))

        assert _written(tmp_path / "a.duckdb", *views) == [False, True]
