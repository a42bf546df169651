"""The one writer gives the same bytes for the same rows, cut by content, with checksums."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import reduce
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extracts.engine import rowgroups
from extracts.engine.columns import ColumnNameError, ColumnTypeError, duckdb_type
from extracts.engine.parquet import OrderColumnMissingError, write_parquet

REPOSITORY = Path(__file__).parents[3]


def write(table: pa.Table, path: Path, *, batch_rows: int = 10_000, order=()) -> str:
    """Write ``table`` in batches of the given size and return the hash of the file."""
    batches = table.to_batches(max_chunksize=batch_rows)
    reader = pa.RecordBatchReader.from_batches(table.schema, batches)
    write_parquet(reader, path, order=order)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(rows: int, *, start: int = 0) -> pa.Table:
    with duckdb.connect() as connection:
        return connection.execute(
            """
            SELECT i AS id, i % 97 AS kind, 'item ' || (i * 7919 % 100003) AS label,
                   i / 8 AS price, TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS sold_at
            FROM range(?::BIGINT, ?::BIGINT) AS t(i)
            """,
            [start, start + rows],
        ).to_arrow_table()


def group_rows(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


class TestWrittenBytes:
    def test_do_not_depend_on_how_rows_arrive(self, tmp_path):
        table = numbers(150_000)

        hashes = {
            write(table, tmp_path / f"{rows}.parquet", batch_rows=rows, order=("id",))
            for rows in (999, 2048, 65_536, 150_000)
        }

        assert len(hashes) == 1

    def test_do_not_depend_on_the_process(self, tmp_path):
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from tests.extracts.engine.test_parquet import numbers, write\n"
            "print(write(numbers(60_000), Path(sys.argv[1]), batch_rows=7_000))"
        )
        mine = write(numbers(60_000), tmp_path / "mine.parquet")

        theirs = {
            subprocess.run(
                [sys.executable, "-c", program, str(tmp_path / "theirs.parquet")],
                cwd=REPOSITORY,
                env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for zone, seed in (("UTC", "1"), ("Asia/Tokyo", "2"))
        }

        assert theirs == {mine}

    def test_do_not_depend_on_the_arrow_layout(self, tmp_path):
        plain = pa.table(
            {"t": ["a", None, "b"], "at": pa.array([0, 1, 2], pa.timestamp("us", "UTC"))}
        )
        other = pa.table(
            {
                "t": pa.array(["a", None, "b"], pa.large_string()).dictionary_encode(),
                "at": pa.array([0, 1, 2], pa.timestamp("us", "America/New_York")),
            }
        )

        assert write(plain, tmp_path / "a") == write(other, tmp_path / "b")

    def test_do_not_hold_metadata_of_the_source(self, tmp_path):
        plain = pa.table({"x": [1, 2]})
        marked = plain.replace_schema_metadata({"pandas": "anything"})

        assert write(plain, tmp_path / "a") == write(marked, tmp_path / "b")


class TestWrittenFiles:
    def test_hold_the_same_rows_in_the_same_order(self, tmp_path):
        table = numbers(50_000)

        write(table, tmp_path / "t.parquet")

        assert pq.read_table(tmp_path / "t.parquet").equals(table)

    def test_record_writer_order_and_cut_rule(self, tmp_path):
        write(numbers(10), tmp_path / "t.parquet", order=("ID",))

        facts = pq.read_metadata(tmp_path / "t.parquet").metadata

        assert json.loads(facts[b"agnes.writer"]) == "agnes-parquet-1"
        assert json.loads(facts[b"agnes.order"]) == ["id"]
        assert json.loads(facts[b"agnes.cut"]) == {
            "rule": "agnes-cut-1",
            "hash": "agnes-rowhash-1",
            "bits": 17,
            "min_rows": 32_768,
            "max_rows": 524_288,
            "max_bytes": 33_554_432,
        }

    def test_may_have_no_rows(self, tmp_path):
        written = write_parquet(numbers(0).to_reader(), tmp_path / "t.parquet")

        with duckdb.connect() as connection:
            found = connection.read_parquet(str(tmp_path / "t.parquet"))
            assert found.columns == ["id", "kind", "label", "price", "sold_at"]
            assert found.fetchall() == []
        assert written.rows == 0

    def test_say_their_rows_and_bytes(self, tmp_path):
        seen = []

        written = write_parquet(
            numbers(1000).to_reader(),
            tmp_path / "t.parquet",
            progress=lambda phase, *, done=0, total=None, message="": seen.append((phase, done)),
        )

        assert written.rows == 1000
        assert written.bytes == (tmp_path / "t.parquet").stat().st_size
        assert seen == [("write", 1000)]

    def test_read_back_in_duckdb_with_the_types_we_say(self, tmp_path):
        kinds = {
            "truth": (True, pa.bool_()),
            "tiny": (-1, pa.int8()),
            "small": (-1, pa.int16()),
            "whole": (-1, pa.int32()),
            "big": (-1, pa.int64()),
            "utiny": (1, pa.uint8()),
            "usmall": (1, pa.uint16()),
            "uwhole": (1, pa.uint32()),
            "ubig": (2**64 - 1, pa.uint64()),
            "half": (1.5, pa.float32()),
            "double": (1.5, pa.float64()),
            "money": (Decimal("1.25"), pa.decimal128(9, 2)),
            "wide_money": (Decimal("1.25"), pa.decimal128(38, 2)),
            "text": ("x", pa.string()),
            "bytes": (b"x", pa.binary()),
            "four": (b"abcd", pa.binary(4)),
            "day": (date(2025, 1, 2), pa.date32()),
            "clock": (time(1, 2, 3), pa.time64("us")),
            "clock_ms": (time(1, 2, 3), pa.time32("s")),
            "at": (0, pa.timestamp("us")),
            "at_s": (0, pa.timestamp("s")),
            "at_ns": (0, pa.timestamp("ns")),
            "zoned": (datetime(2025, 1, 2, tzinfo=UTC), pa.timestamp("us", "Europe/Prague")),
            "uuid": (b"0123456789abcdef", pa.uuid()),
            "json": ("{}", pa.json_()),
            "nothing": (None, pa.null()),
            "list": ([1, 2], pa.list_(pa.int64())),
            "pair": ([1, 2], pa.list_(pa.int64(), 2)),
            "map": ([("a", 1)], pa.map_(pa.string(), pa.int64())),
            "struct": (
                {"a b": 1, "c": ["x"]},
                pa.struct({"a b": pa.int8(), "c": pa.list_(pa.string())}),
            ),
        }
        table = pa.table({name: pa.array([value], kind) for name, (value, kind) in kinds.items()})

        write(table, tmp_path / "t.parquet")

        said = {
            each.name: duckdb_type(each.type) for each in pq.read_schema(tmp_path / "t.parquet")
        }
        with duckdb.connect() as connection:
            rows = connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?)", [str(tmp_path / "t.parquet")]
            ).fetchall()
            unquoted = {row[0]: row[1] for row in rows}
            first = connection.read_parquet(str(tmp_path / "t.parquet")).fetchall()[0]
        assert {name: kind.replace('"c"', "c") for name, kind in said.items()} == unquoted
        assert first[:2] == (True, -1)
        assert first[11] == Decimal("1.25")


class TestRowGroups:
    def test_end_at_the_same_rows_after_an_insertion(self, tmp_path):
        table = numbers(700_000)
        shifted = pa.concat_tables([numbers(5_000, start=2_000_000), table])

        write(table, tmp_path / "a.parquet", order=("id",))
        write(shifted, tmp_path / "b.parquet", order=("id",))

        ends = ends_of_groups(tmp_path / "a.parquet"), ends_of_groups(tmp_path / "b.parquet")
        assert len(ends[0]) >= 3
        assert len(ends[0] & ends[1]) >= len(ends[0]) - 1

    def test_end_at_the_same_rows_in_a_table_too_wide_for_the_hash_to_hit(self, tmp_path):
        table = wide(9_000)

        write(table, tmp_path / "a.parquet", order=("id",))
        write(table.slice(500), tmp_path / "b.parquet", order=("id",))

        ends = ends_of_groups(tmp_path / "a.parquet"), ends_of_groups(tmp_path / "b.parquet")
        assert len(ends[0]) >= 3
        assert len(ends[0] & ends[1]) >= len(ends[0]) - 2

    def test_hold_between_the_minimum_and_the_maximum_of_rows(self, tmp_path):
        write(numbers(1_200_000).select(["id"]), tmp_path / "t.parquet", order=("id",))

        rows = group_rows(tmp_path / "t.parquet")

        assert min(rows[:-1]) >= rowgroups.MIN_ROWS
        assert max(rows) <= rowgroups.MAX_ROWS

    def test_hold_no_more_than_the_maximum_of_bytes(self, tmp_path):
        write(wide(9_000), tmp_path / "t.parquet")

        metadata = pq.read_metadata(tmp_path / "t.parquet")
        sizes = [rows * 8_000 for rows in group_rows(tmp_path / "t.parquet")]

        assert metadata.num_row_groups >= 3
        assert max(sizes) <= rowgroups.MAX_BYTES

    def test_may_hold_one_row_that_is_larger_than_the_maximum(self, tmp_path):
        large = "x" * (rowgroups.MAX_BYTES + 1)

        write(pa.table({"t": ["a", large, "b"]}), tmp_path / "t.parquet")

        assert group_rows(tmp_path / "t.parquet") == [1, 1, 1]

    def test_count_what_lists_hold(self):
        batch = pa.record_batch(
            {
                "list": [["abc", "d"], None, []],
                "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
                "struct": [{"a": "xy", "b": True}, {"a": None, "b": None}, None],
            }
        )

        sizes = rowgroups.row_sizes(batch).to_pylist()

        assert sizes == [(4 + 7 + 5) + (4 + 5 + 8) + (6 + 1), 4 + 4 + 5, 4 + 4 + 5]
        assert rowgroups.row_sizes(batch.slice(1)).to_pylist() == sizes[1:]


@pytest.mark.hostile(15)
class TestColumns:
    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["id", "id"], "'id'"),
            (["Total", "total"], "'total'"),
            (["id", ""], "Column 2"),
            (["  "], "Column 1"),
            (["a\0b"], "'a\\x00b'"),
            (["a\nb"], "'a\\nb'"),
            (["x" * 10_000], "longer than 255"),
            (["safe\u202etxt"], "\\u202e"),
        ],
    )
    def test_of_unusable_names_are_refused_by_name(self, tmp_path, names, said):
        table = pa.table([[1]] * len(names), names=names)

        with pytest.raises(ColumnNameError) as refusal:
            write(table, tmp_path / "t.parquet")

        assert said in refusal.value.message
        assert not (tmp_path / "t.parquet").exists()

    def test_may_have_any_other_name(self, tmp_path):
        names = ['x") OR 1=1 --', "čas", "a.b", "$", "😀", "select", "a'b"]

        write(pa.table([[1]] * len(names), names=names), tmp_path / "t.parquet")

        with duckdb.connect() as connection:
            assert connection.read_parquet(str(tmp_path / "t.parquet")).columns == names

    def test_must_exist(self, tmp_path):
        with pytest.raises(ColumnNameError, match="no columns"):
            write(pa.table({}), tmp_path / "t.parquet")

    @pytest.mark.parametrize(
        "kind",
        [pa.duration("s"), pa.month_day_nano_interval(), pa.decimal256(60, 2), pa.struct([])],
    )
    def test_of_types_that_cannot_be_stored_are_refused(self, tmp_path, kind):
        with pytest.raises(ColumnTypeError, match="'gone'"):
            write(pa.table({"gone": pa.array([None], kind)}), tmp_path / "t.parquet")

    def test_nested_too_deeply_for_duckdb_are_refused(self, tmp_path):
        deepest, too_deep = (
            reduce(lambda kind, _: pa.list_(kind), range(depth), pa.int32()) for depth in (16, 17)
        )
        write(pa.table({"deep": pa.array([None], deepest)}), tmp_path / "t.parquet")

        with pytest.raises(ColumnTypeError, match="'deep' is nested 17 levels deep; 16 at most"):
            write(pa.table({"deep": pa.array([None], too_deep)}), tmp_path / "t.parquet")

    def test_named_by_the_order_must_exist(self, tmp_path):
        with pytest.raises(OrderColumnMissingError, match="'nope'"):
            write(numbers(1), tmp_path / "t.parquet", order=("nope",))


def ends_of_groups(path: Path) -> set[int]:
    """Return the ``id`` of the last row of each row group."""
    file = pq.ParquetFile(path)
    groups = (file.read_row_group(i, columns=["id"]) for i in range(file.num_row_groups))
    return {group["id"][-1].as_py() for group in groups}


def wide(rows: int) -> pa.Table:
    """Return a table of about 8 kB per row, so that 32 MiB are full after some 4 000 rows."""
    text = pa.array(["x" * 7_900] * rows)
    return pa.table({"id": pa.array(range(rows)), "text": text, "n": pa.array([0.5] * rows)})
