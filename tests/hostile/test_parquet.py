"""Foreign Parquet: rows as they are, or a plain refusal; never fewer rows and never the end."""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb
import pytest

from extracts.models import RunState
from tests.factories import SourceFactory
from tests.hostile import parquet_files as files

pytestmark = pytest.mark.hostile(17)

MEMORY = 512 * 1024**2


@pytest.fixture
def run_by(source_folder, tmp_path, foreign, run_of):
    """Extract a Parquet file as a file, as a file of a foreign extract, or by a view over it."""

    def extract(route: str, content: bytes):
        if route == "file":
            (source_folder / "t.parquet").write_bytes(content)
            return run_of(SourceFactory(config={"folder": str(source_folder)}), "t.parquet")
        place = tmp_path / "foreign" / "t.parquet"
        place.parent.mkdir()
        # The producer made the view over an honest file, and put another one in its place.
        place.write_bytes(files.numbers())
        columns = "*" if route == "copy" else "*, 1 AS one"
        view = f"CREATE VIEW t AS SELECT {columns} FROM read_parquet('{place}')"
        source = foreign("t", view)
        place.write_bytes(content)
        return run_of(source, "t")

    return extract


def claims(rows: int) -> Callable[[], bytes]:
    return lambda: files.claiming(rows)


def deep(depth: int, *, in_structs: bool = False) -> Callable[[], bytes]:
    return lambda: files.nested(depth, in_structs=in_structs)


REFUSED = {
    "cut off": (lambda: files.numbers()[:-20], "cut off"),
    "cut in the middle": (
        lambda: files.numbers()[:20_000] + files.numbers()[-8:],
        "damaged|readable",
    ),
    "wrong magic": (lambda: b"PAR2" + files.numbers()[4:], "does not start with PAR1"),
    "a flipped bit": (files.flipped, "CRC|checksum"),
    "2^31 rows claimed": (claims(2**31), f"holds {files.ROWS}.*2147483648"),
    "2^62 rows claimed": (claims(2**62), f"holds {files.ROWS}.*4611686018427387904"),
    "17 lists": (deep(17), "nested 17 levels deep; 16 at most"),
    "1000 lists": (deep(1000), "too deeply nested"),
    "1000 structs": (deep(1000, in_structs=True), "too deeply nested"),
    "50 000 columns": (lambda: files.wide(50_000), "50,000 columns; 5,000 at most"),
}


class TestFile:
    @pytest.mark.parametrize("route", ["file", "copy"])
    @pytest.mark.parametrize("kind", REFUSED)
    def test_that_is_damaged_or_lies_is_refused(self, run_by, is_up, kind, route):
        make, said = REFUSED[kind]

        run = run_by(route, make())

        assert run.state == RunState.FAILED
        assert run.error_code in ("parquet_damaged", "columns_too_many", "column_type_unsupported")
        assert run.error_hint
        assert re.search(said, run.error_message)
        assert "Traceback" not in run.error_message
        assert run.table.current_version is None
        assert is_up()

    @pytest.mark.parametrize("route", ["file", "copy", "view"])
    @pytest.mark.parametrize(
        ("make", "columns"),
        [
            (lambda: files.numbers(compression="brotli"), {"id"}),
            (lambda: files.numbers(compression="lz4"), {"id"}),
            (deep(16), {"deep"}),
            (deep(16, in_structs=True), {"deep"}),
        ],
        ids=["Brotli", "LZ4", "16 lists", "16 structs"],
    )
    def test_that_is_only_unusual_is_served(self, run_by, served, make, columns, route):
        run = run_by(route, make())

        assert run.state == RunState.SUCCEEDED, run.error_message
        rows = served(run)
        assert columns <= rows[0].keys()
        assert len(rows) == (files.ROWS if columns == {"id"} else 1)

    def test_whose_statistics_lie_is_refused_or_read_without_them(self, run_by, served, tmp_path):
        content = files.lying_statistics()

        read, copied = run_by("file", content), run_by("copy", content)

        assert [row["id"] for row in served(read)] == list(range(files.ROWS))
        assert (copied.state, copied.error_code) == (RunState.FAILED, "parquet_damaged")
        assert "statistics of column 'id'" in copied.error_message

    def test_without_checksums_is_refused_where_its_statistics_tell(self, run_by):
        run = run_by("copy", files.flipped_without_checksums())

        assert (run.state, run.error_code) == (RunState.FAILED, "parquet_damaged")


@pytest.mark.hostile(19)
class TestDatabase:
    @pytest.mark.parametrize("route", ["file", "copy", "view"])
    def test_that_calls_itself_parquet_is_refused(self, run_by, is_up, tmp_path, route):
        with duckdb.connect(tmp_path / "a.duckdb") as connection:
            connection.execute("CREATE TABLE secret AS SELECT 1 AS id")

        run = run_by(route, (tmp_path / "a.duckdb").read_bytes())

        assert run.state == RunState.FAILED
        assert run.error_code in ("parquet_damaged", "external_evaluation_failed")
        assert is_up()


class TestView:
    """DuckDB reads what a view of a foreign extract is made of."""

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: files.numbers()[:-20], "PAR1|magic|footer"),
            (claims(2**31), "Invalid data"),
            (deep(17), "nested 17 levels deep; 16 at most"),
        ],
        ids=["cut off", "2^31 rows claimed", "17 lists"],
    )
    def test_over_a_damaged_file_is_refused(self, run_by, is_up, make, said):
        run = run_by("view", make())

        assert (run.state, run.error_code) == (RunState.FAILED, "external_evaluation_failed")
        assert re.search(said, run.error_message)
        assert is_up()


@pytest.mark.slow
class TestBomb:
    @pytest.mark.parametrize("route", ["file", "copy", "view"])
    def test_needs_more_memory_than_a_run_has_and_nothing_else_ends(
        self, run_by, is_up, settings, route
    ):
        settings.CONFIG = settings.CONFIG.model_copy(update={"run_memory_bytes": MEMORY})

        run = run_by(route, files.value_of_zeros(600_000_000))

        assert run.state == RunState.FAILED
        assert "emory" in run.error_message
        assert run.error_code == (
            "external_evaluation_failed" if route == "view" else "memory_exceeded"
        )
        assert is_up()
