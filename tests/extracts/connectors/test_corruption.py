"""Random damage to a foreign extract: the right rows or a plain error, never anything else."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agnes_site.core.errors import AgnesError
from agnes_site.core.progress import silent
from extracts.engine import process

ROWS = [{"id": number, "text": f"text {number % 97}"} for number in range(3000)]
REFUSED = "refused"
TABLES = ("kept", "plain", "parts")
META = "CREATE TABLE _meta (table_name VARCHAR, rows BIGINT, query_mode VARCHAR DEFAULT 'local')"
bounded = settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000, write_page_checksum=True)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extract with a table of its own, a view of one file and a view of two."""
    folder = tmp_path_factory.mktemp("extracts") / "shop"
    (folder / "data" / "parts").mkdir(parents=True)
    _write(folder / "data" / "plain.parquet", ROWS)
    _write(folder / "data" / "parts" / "1.parquet", ROWS[:1000])
    _write(folder / "data" / "parts" / "2.parquet", ROWS[1000:])
    with closing(duckdb.connect(str(folder / "extract.duckdb"))) as connection:
        connection.execute(META)
        connection.execute(f"CREATE TABLE kept AS FROM '{folder}/data/plain.parquet'")
        connection.execute("INSERT INTO _meta (table_name) VALUES ('kept'), ('plain'), ('parts')")
    return folder


@pytest.fixture
def spoiled(sound: Path, tmp_path: Path) -> Callable[[], Path]:
    """Copy the extract to a place of its own, with views of the files there."""
    numbers = itertools.count()

    def copy() -> Path:
        folder = tmp_path / f"extracts{next(numbers)}" / "shop"
        shutil.copytree(sound, folder)
        with closing(duckdb.connect(str(folder / "extract.duckdb"))) as connection:
            for name, files in (("plain", "plain.parquet"), ("parts", "parts/*.parquet")):
                connection.execute(
                    f"CREATE VIEW {name} AS FROM read_parquet('{folder}/data/{files}')"
                )
        return folder

    return copy


def _brought(folder: Path, table: str) -> list[dict[str, Any]] | str:
    """Extract a table in a child, as a run does; return its rows, or that it was refused."""
    out = folder.parent / f"run-{table}"
    out.mkdir()
    reach = {"roots": [], "private": [], "hosts": []}
    job = process.Job(
            function="extracts.connectors.work:extract",
            arguments={
                "source_type": "external", "config": {"folder": str(folder)}, "reach": reach,
                "table": {
                    "name": table, "bucket": "", "source_table": table, "source_query": "",
                    "primary_key": [], "incremental_column": "", "incremental_window_days": None,
                    "max_history_days": None, "options": {}, "known_columns": [],
                },
                "runs_sql": False, "mode": "full", "state": {}, "drift_policy": "evolve",
                "current_parts": [], "combined_max_bytes": 0, "folder": str(out),
            },
            secrets={}, memory_bytes=2 * 1024**3, timeout_seconds=60,
        )  # fmt: skip
    try:
        answer = process.run(job, progress=silent)
    except process.ChildTimeoutError:
        raise
    except AgnesError:
        return REFUSED
    found = [row for part in answer["parts"] for row in pq.read_table(part["path"]).to_pylist()]
    return sorted(found, key=lambda row: row["id"])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


_place = st.floats(0, 1, exclude_max=True)
_damage = st.one_of(
    st.tuples(st.just("flip"), _place, st.integers(1, 255)),
    st.tuples(st.just("cut"), _place, st.none()),
    st.tuples(st.just("zeros"), _place, st.integers(1, 5000)),
    st.tuples(st.just("more"), _place, st.binary(min_size=1, max_size=100)),
    st.tuples(st.just("move"), _place, st.integers(1, 5000)),
)


def _spoil(path: Path, damage: tuple[str, float, Any]) -> None:
    kind, place, how = damage
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if kind == "flip":
        content[at] ^= how
    elif kind == "cut":
        del content[at:]
    elif kind == "zeros":
        content[at : at + how] = bytes(len(content[at : at + how]))
    elif kind == "more":
        content[at:at] = how
    else:
        content[at:at] = content[:how]
    path.write_bytes(content)


class TestDamagedBytes:
    @bounded
    @given(st.data())
    def test_give_the_right_rows_or_an_error(self, spoiled, data):
        folder = spoiled()
        path = data.draw(st.sampled_from(_files(folder)), label="file")
        for damage in data.draw(st.lists(_damage, min_size=1, max_size=3), label="damage"):
            if path.stat().st_size:
                _spoil(path, damage)
        for table in TABLES:
            assert _brought(folder, table) in (ROWS, REFUSED)
        shutil.rmtree(folder.parent)


class TestReplacedFiles:
    @pytest.mark.parametrize("kind", ["link", "link within", "folder", "pipe", "missing", "loop"])
    def test_give_the_right_rows_or_an_error(self, spoiled, tmp_path, kind):
        secret = tmp_path / "secret.parquet"
        _write(secret, [{"id": 0, "text": "of somebody else"}])
        for number in range(4):
            folder = spoiled()
            path = _files(folder)[number]
            moved = path.rename(path.with_name("moved"))
            _replace(path, kind, secret=secret, moved=moved)
            for table in TABLES:
                # A pattern shows the files that there are.
                fewer = [ROWS[:1000], ROWS[1000:]] if table == "parts" else []
                assert _brought(folder, table) in (ROWS, REFUSED, *fewer)


def _replace(path: Path, kind: str, *, secret: Path, moved: Path) -> None:
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "link within":
        path.symlink_to(moved)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)


_names = st.sampled_from(["table_name", "rows", "query_mode", "size_bytes", "x"])
_types = st.sampled_from([
    "VARCHAR", "BIGINT", "INTEGER[]", "STRUCT(a INTEGER)", "BLOB", "DOUBLE", "TIMESTAMP",
    "MAP(VARCHAR, INTEGER)", "BOOLEAN", "UUID", "HUGEINT", "ENUM('local', 'kept', 'plain')",
])  # fmt: skip


class TestWrongMeta:
    @bounded
    @given(
        columns=st.dictionaries(_names, _types, min_size=1, max_size=4),
        is_view=st.booleans(), rows=st.integers(0, 3),
    )  # fmt: skip
    def test_gives_the_right_rows_or_an_error(self, spoiled, columns, is_view, rows):
        folder = spoiled()
        with closing(duckdb.connect(str(folder / "extract.duckdb"))) as connection:
            connection.execute("DROP TABLE _meta")
            values = ", ".join(
                f"TRY_CAST('kept' AS {kind}) AS {name}" for name, kind in columns.items()
            )
            query = f"SELECT {values} FROM range({rows})"
            connection.execute(f"CREATE {'VIEW' if is_view else 'TABLE'} _meta AS {query}")
        for table in ("kept", "plain"):
            assert _brought(folder, table) in (ROWS, REFUSED)
        shutil.rmtree(folder.parent)
