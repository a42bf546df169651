"""Nothing damaged passes; what passes is stored once, durably, under its hash."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agnes_site.core.storage import stored_place
from catalog.connectors import ColumnSpec, DriftPolicy
from extracts.engine.columns import ColumnNameError
from extracts.engine.parquet import write_parquet
from extracts.engine.publish import (
    DamagedFileError,
    Drift,
    PartsDifferError,
    Retyped,
    SchemaDriftError,
    combine,
    common_columns,
    compare_schemas,
    schema_hash,
    take_part,
    validate,
)

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def orders(tmp_path) -> Path:
    """A small file of our writer with several kinds of columns and some nulls."""
    path = tmp_path / "orders.parquet"
    sql = """
        SELECT i AS id, i % 3 AS kind, 'label ' || i AS label, i / 3 AS price,
               CASE WHEN i % 5 > 0 THEN (i * 1.25)::DECIMAL(9, 2) END AS total,
               TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL (i) HOUR AS sold_at,
               [i, i + 1] AS lines, i % 2 = 0 AS is_paid
        FROM range(200) AS t(i)
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        write_parquet(connection.execute(sql).to_arrow_reader(64), path, order=("sold_at", "id"))
    return path


def flipped(path: Path, place: int, *, bit: int = 0) -> Path:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    damaged = path.with_name("damaged.parquet")
    damaged.write_bytes(data)
    return damaged


@pytest.mark.hostile(17)
class TestValidate:
    def test_describes_what_it_read(self, orders):
        part = validate(orders, expected_rows=200, key="2025-01")

        data = orders.read_bytes()
        assert (part.path, part.key, part.rows, part.bytes) == (orders, "2025-01", 200, len(data))
        assert part.sha256 == hashlib.sha256(data).hexdigest()
        assert part.md5 == hashlib.md5(data).hexdigest()
        assert [(column.name, column.type) for column in part.columns] == [
            ("id", "BIGINT"),
            ("kind", "BIGINT"),
            ("label", "VARCHAR"),
            ("price", "DOUBLE"),
            ("total", "DECIMAL(9,2)"),
            ("sold_at", "TIMESTAMP WITH TIME ZONE"),
            ("lines", "BIGINT[]"),
            ("is_paid", "BOOLEAN"),
        ]
        assert part.schema_hash == schema_hash(part.columns)
        assert part.order == ("sold_at", "id")
        assert part.order_min == ("2025-01-01 00:00:00.000000Z", 0)
        assert part.order_max == ("2025-01-09 07:00:00.000000Z", 199)

    def test_tells_the_bounds_in_signs_that_every_database_keeps(self, tmp_path):
        path = tmp_path / "odd.parquet"
        write_parquet(pa.table({"id": ["a\0b", "c\0"]}).to_reader(), path, order=("id",))

        part = validate(path, expected_rows=2)

        assert (part.order_min, part.order_max) == (("a\ufffdb",), ("c\ufffd",))

    @pytest.mark.parametrize(
        ("values", "low", "high"),
        [
            ([float("-inf"), 0.5, float("inf")], "-inf", "inf"),
            ([0.1, 2.5], 0.1, 2.5),
            ([b"\x00a", b"\xff"], "0061", "ff"),
            ([1.5, None], 1.5, None),
        ],
    )
    def test_tells_bounds_that_json_can_hold(self, tmp_path, values, low, high):
        path = tmp_path / "bounds.parquet"
        write_parquet(pa.table({"x": values}).to_reader(), path, order=("x",))

        part = validate(path, expected_rows=len(values))

        assert (part.order_min, part.order_max) == ((low,), (high,))
        json.dumps([part.order_min, part.order_max], allow_nan=False)

    def test_hashes_a_file_of_many_chunks(self, tmp_path):
        path = tmp_path / "large.parquet"
        noise = [hashlib.sha512(str(i).encode()).digest() for i in range(50_000)]
        write_parquet(pa.table({"noise": noise}).to_reader(), path)

        part = validate(path, expected_rows=50_000)

        assert part.bytes > 2 * 1024 * 1024
        assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert part.md5 == hashlib.md5(path.read_bytes()).hexdigest()

    def test_asks_duckdb_for_the_types_of_foreign_files(self, tmp_path):
        path = tmp_path / "foreign.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT INTERVAL 1 DAY AS span, uuid() AS id) TO '{path}' (FORMAT parquet)"
            )

        columns = validate(path, expected_rows=1).columns

        assert [column.type for column in columns] == ["INTERVAL", "UUID"]

    def test_accepts_a_file_without_rows(self, tmp_path):
        path = tmp_path / "empty.parquet"
        write_parquet(pa.table({"x": pa.array([], pa.int64())}).to_reader(), path, order=("x",))

        part = validate(path, expected_rows=0)

        assert (part.rows, part.order_min) == (0, None)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b"id,name\n1,x\n", "not a Parquet file"),
            (b"PAR1", "cut off"),
            (b"PAR1PAR1", "cut off"),
            (b"PAR1" + b"\xff" * 64 + b"PAR1", "damaged footer"),
        ],
    )
    def test_refuses_what_is_no_parquet(self, tmp_path, content, said):
        path = tmp_path / "odd.parquet"
        path.write_bytes(content)

        with pytest.raises(DamagedFileError, match=said):
            validate(path, expected_rows=None)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_refuses_a_file_that_was_cut(self, orders, share):
        data = orders.read_bytes()
        orders.write_bytes(data[: int(len(data) * share)])

        with pytest.raises(DamagedFileError, match="cut off"):
            validate(orders, expected_rows=None)

    def test_refuses_a_cut_that_ends_with_the_magic(self, orders):
        data = orders.read_bytes()
        orders.write_bytes(data[: len(data) // 2] + data[-8:])

        with pytest.raises(DamagedFileError):
            validate(orders, expected_rows=None)

    def test_refuses_another_number_of_rows_than_announced(self, orders):
        with pytest.raises(DamagedFileError, match="holds 200 rows where 201 were announced"):
            validate(orders, expected_rows=201)

    def test_says_where_the_damage_is(self, orders):
        chunk = pq.read_metadata(orders).row_group(0).column(2)
        damaged = flipped(orders, chunk.data_page_offset + chunk.total_compressed_size // 2)

        with pytest.raises(DamagedFileError, match="row group 0, column 'label'") as refusal:
            validate(damaged, expected_rows=None)

        assert refusal.value.details == {"row_group": 0, "column": "label"}

    def test_notices_every_flipped_bit_in_the_data(self, orders):
        group = pq.read_metadata(orders).row_group(0)
        chunks = [group.column(i) for i in range(group.num_columns)]
        end = max(chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks)
        headers_and_data = range(4, end - 1, 61)

        unnoticed = [
            (place, bit)
            for place in headers_and_data
            for bit in (0, 4)
            if not is_noticed_or_harmless(orders, flipped(orders, place, bit=bit))
        ]

        assert unnoticed == []

    def test_notices_a_flipped_bit_anywhere_or_it_changes_no_row(self, orders):
        size = orders.stat().st_size

        unnoticed = [
            place
            for place in range(0, size, 97)
            if not is_noticed_or_harmless(orders, flipped(orders, place, bit=place % 8))
        ]

        assert unnoticed == []

    def test_refuses_statistics_that_exclude_rows(self, orders):
        data = orders.read_bytes()
        footer = data.rindex((199).to_bytes(8, "little"))
        orders.write_bytes(data[:footer] + (10).to_bytes(8, "little") + data[footer + 8 :])

        with pytest.raises(DamagedFileError, match="statistics of column 'id'"):
            validate(orders, expected_rows=200)

    @pytest.mark.hostile(15)
    def test_refuses_a_column_whose_name_was_damaged(self, orders):
        place = orders.read_bytes().index(b"\x05label") + 1

        with pytest.raises(DamagedFileError):
            validate(flipped(orders, place), expected_rows=200)

    @pytest.mark.hostile(15)
    def test_refuses_foreign_files_with_unusable_columns(self, tmp_path):
        pq.write_table(pa.table([[1], [2]], names=["a", "A"]), tmp_path / "t.parquet")

        with pytest.raises(ColumnNameError, match="'A'"):
            validate(tmp_path / "t.parquet", expected_rows=None)

    def test_reads_a_large_foreign_row_group_with_bounded_memory(self, tmp_path):
        path = tmp_path / "large.parquet"
        with duckdb.connect() as connection:
            columns = ", ".join(f"hash(i + {n}) AS c{n}" for n in range(20))
            table = connection.execute(f"SELECT {columns} FROM range(700_000) t(i)")
            pq.write_table(table.to_arrow_table(), path, row_group_size=1 << 20)
        program = (
            "import resource, sys\nfrom pathlib import Path\n"
            "from extracts.engine.publish import validate\n"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
            "before = peak()\n"
            "validate(Path(sys.argv[1]), expected_rows=700_000)\n"
            "print(peak() - before)"
        )

        used_mib = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

        assert pq.read_metadata(path).row_group(0).total_byte_size > 100 * 2**20
        assert int(used_mib) < 80


def is_noticed_or_harmless(original: Path, damaged: Path) -> bool:
    """Say whether ``damaged`` is refused, or has another hash and all the same rows."""
    try:
        part = validate(damaged, expected_rows=200)
    except (DamagedFileError, ColumnNameError):
        return True
    return part.sha256 != hashlib.sha256(original.read_bytes()).hexdigest() and pq.read_table(
        damaged
    ).equals(pq.read_table(original))


def columns(**types: str) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(name=name, type=kind) for name, kind in types.items())


@pytest.mark.hostile(53)
class TestCompareSchemas:
    def test_says_what_changed(self):
        drift = compare_schemas(
            columns(id="BIGINT", total="BIGINT", gone="DATE"),
            columns(ID="BIGINT", total="DOUBLE", fresh="VARCHAR"),
            policy=DriftPolicy.EVOLVE,
        )

        assert drift == Drift(
            added=("fresh",),
            removed=("gone",),
            retyped=(Retyped(name="total", before="BIGINT", after="DOUBLE"),),
        )
        assert str(drift) == "added fresh; removed gone; changed total from BIGINT to DOUBLE"

    @pytest.mark.parametrize("policy", list(DriftPolicy))
    def test_sees_no_drift_in_a_first_version_or_another_order(self, policy):
        assert not compare_schemas((), columns(id="BIGINT"), policy=policy)
        assert not compare_schemas(
            columns(a="BIGINT", b="DATE"), columns(b="DATE", a="BIGINT"), policy=policy
        )

    @pytest.mark.parametrize("found", [columns(id="BIGINT"), columns(id="BIGINT", day="VARCHAR")])
    def test_holds_removed_and_retyped_columns_under_freeze(self, found):
        with pytest.raises(SchemaDriftError) as refusal:
            compare_schemas(columns(id="BIGINT", day="DATE"), found, policy=DriftPolicy.FREEZE)

        assert "day" in refusal.value.message
        assert "evolve" in refusal.value.hint

    def test_reports_but_accepts_new_columns_under_freeze(self):
        drift = compare_schemas(
            columns(id="BIGINT"), columns(id="BIGINT", fresh="DATE"), policy=DriftPolicy.FREEZE
        )

        assert drift.added == ("fresh",)

    def test_holds_any_change_under_fail(self):
        with pytest.raises(SchemaDriftError, match="added fresh"):
            compare_schemas(
                columns(id="BIGINT"), columns(id="BIGINT", fresh="DATE"), policy=DriftPolicy.FAIL
            )


class TestStore:
    def test_moves_the_file_under_its_hash_and_seals_it(self, orders, tmp_path):
        part = validate(orders, expected_rows=200)

        place = take_part(part, store=tmp_path / "store")

        assert place == tmp_path / "store" / part.sha256[:2] / f"{part.sha256}.parquet"
        assert place.stat().st_mode & 0o777 == 0o444
        assert hashlib.sha256(place.read_bytes()).hexdigest() == part.sha256
        assert not orders.exists()

    def test_keeps_the_file_that_is_there(self, orders, tmp_path):
        copy = orders.with_name("copy.parquet")
        copy.write_bytes(orders.read_bytes())
        first = take_part(validate(orders, expected_rows=200), store=tmp_path / "store")
        inode = first.stat().st_ino

        second = take_part(validate(copy, expected_rows=200), store=tmp_path / "store")

        assert (second, second.stat().st_ino) == (first, inode)
        assert not copy.exists()

    def test_may_be_repeated(self, orders, tmp_path):
        part = validate(orders, expected_rows=200)

        assert take_part(part, store=tmp_path / "s") == take_part(part, store=tmp_path / "s")

    def test_replaces_a_stored_file_of_another_size(self, orders, tmp_path):
        part = validate(orders, expected_rows=200)
        place = stored_place(tmp_path / "store", part.sha256)
        place.parent.mkdir(parents=True)
        place.write_bytes(b"half of it")

        take_part(part, store=tmp_path / "store")

        assert hashlib.sha256(place.read_bytes()).hexdigest() == part.sha256

    def test_fails_when_there_is_nothing_to_store(self, orders, tmp_path):
        part = validate(orders, expected_rows=200)
        orders.unlink()

        with pytest.raises(FileNotFoundError):
            take_part(part, store=tmp_path / "store")


class TestCombine:
    def write(self, path: Path, **values: pa.Array) -> Path:
        write_parquet(pa.table(values).to_reader(), path)
        return path

    def test_joins_parts_by_the_names_of_their_columns(self, tmp_path):
        first = self.write(tmp_path / "1", id=pa.array([1, 2]), note=pa.array(["a", "b"]))
        second = self.write(tmp_path / "2", fresh=pa.array([0.5]), ID=pa.array([3]))

        written = combine([first, second], tmp_path / "all", order=("id",))

        assert written.rows == 3
        assert pq.read_table(tmp_path / "all").to_pydict() == {
            "id": [1, 2, 3],
            "note": ["a", "b", None],
            "fresh": [None, None, 0.5],
        }

    def test_gives_the_bytes_of_a_table_written_at_once(self, tmp_path):
        rows = range(70_000)
        first = self.write(tmp_path / "1", id=pa.array(rows[:30_000]))
        second = self.write(tmp_path / "2", id=pa.array(rows[30_000:]))
        whole = self.write(tmp_path / "whole", id=pa.array(rows))

        combine([first, second], tmp_path / "all")

        assert (tmp_path / "all").read_bytes() == whole.read_bytes()

    def test_widens_numbers(self, tmp_path):
        first = self.write(tmp_path / "1", n=pa.array([1], pa.int32()))
        second = self.write(tmp_path / "2", n=pa.array([2**40]))

        combine([first, second], tmp_path / "all")

        assert pq.read_table(tmp_path / "all")["n"].to_pylist() == [1, 2**40]

    def test_refuses_types_that_do_not_fit_and_names_the_part(self, tmp_path):
        first = self.write(tmp_path / "1.parquet", n=pa.array([1]))
        second = self.write(tmp_path / "2.parquet", n=pa.array(["x"]))

        with pytest.raises(PartsDifferError, match=r"'n' is string in 2\.parquet"):
            combine([first, second], tmp_path / "all")

    def test_refuses_a_damaged_part(self, orders, tmp_path):
        chunk = pq.read_metadata(orders).row_group(0).column(3)
        damaged = flipped(orders, chunk.data_page_offset + chunk.total_compressed_size // 2)

        with pytest.raises(DamagedFileError, match=r"damaged\.parquet"):
            combine([orders, damaged], tmp_path / "all")


class TestCommonColumns:
    def test_are_those_of_every_part(self, orders):
        part = validate(orders, expected_rows=200)

        assert common_columns([part, part]) == part.columns

    def test_are_refused_when_a_part_differs(self, orders, tmp_path):
        write_parquet(pa.table({"id": [1]}).to_reader(), tmp_path / "other.parquet")
        part = validate(orders, expected_rows=200, key="a")
        other = validate(tmp_path / "other.parquet", expected_rows=1, key="b")

        with pytest.raises(PartsDifferError, match="Part 'b'"):
            common_columns([part, other])
