"""Sorting in runs gives what sorting in memory gives."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from extracts.engine.keys import DuplicateKeyError, OutOfOrderError, checked_keys
from extracts.engine.session import session
from extracts.engine.sorting import sorted_rows

ROWS = """
    SELECT (hash(i) % 1000)::BIGINT AS n,
           CASE WHEN i % 11 > 0 THEN chr((65 + i % 20)::INTEGER) || i % 1000 END AS t,
           CASE WHEN i % 7 > 0 THEN (i % 50)::DOUBLE ELSE 'nan'::DOUBLE END AS d,
           CASE WHEN i % 3 > 0 THEN TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL (i) HOUR END
               AS seen,
           (i % 300)::DECIMAL(9, 2) AS m, i::BIGINT AS id
    FROM range(30_000) t(i)
"""


@pytest.mark.parametrize("run_bytes", [50_000, 400_000, 1 << 30])
class TestSortedRows:
    @pytest.mark.parametrize(
        "key",
        [("id",), ("n", "id"), ("t", "id"), ("d", "t", "id"), ("seen", "id"), ("m", "n", "id")],
    )
    def test_are_those_of_duckdb(self, tmp_path, run_bytes, key):
        with session(tmp_path) as connection:
            rows = connection.execute(ROWS).to_arrow_reader(1000)

            found = sorted_rows(
                connection, rows, key, scratch=tmp_path, batch_rows=2048, run_bytes=run_bytes
            ).read_all()

            expected = connection.execute(f"{ROWS} ORDER BY {', '.join(key)}").to_arrow_table()
        assert found["id"].to_pylist() == expected["id"].to_pylist()
        assert found.schema == expected.schema
        assert str(found["d"].to_pylist()) == str(expected["d"].to_pylist())

    def test_may_be_none(self, tmp_path, run_bytes):
        with session(tmp_path) as connection:
            rows = connection.execute(f"{ROWS} LIMIT 0").to_arrow_reader(1000)

            found = sorted_rows(
                connection, rows, ("id",), scratch=tmp_path, batch_rows=2048, run_bytes=run_bytes
            ).read_all()

        assert found.num_rows == 0


class TestCheckedKeys:
    def rows(self, *ids, batch_rows: int) -> pa.RecordBatchReader:
        table = pa.table({"id": pa.array(ids, pa.int64()), "k": ["x"] * len(ids)})
        return pa.RecordBatchReader.from_batches(
            table.schema, table.to_batches(max_chunksize=batch_rows)
        )

    @pytest.mark.parametrize("batch_rows", [1, 2, 3, 10])
    @pytest.mark.parametrize("ids", [(1, 2, 2, 3), (1, 1), (1, 2, 3, None, None)])
    def test_refuse_neighbours_with_the_same_key(self, ids, batch_rows):
        with pytest.raises(DuplicateKeyError):
            checked_keys(self.rows(*ids, batch_rows=batch_rows), ("k", "id")).read_all()

    @pytest.mark.parametrize("batch_rows", [1, 2, 10])
    def test_let_other_rows_pass(self, batch_rows):
        rows = checked_keys(self.rows(1, 2, 3, None, batch_rows=batch_rows), ("id",)).read_all()

        assert rows["id"].to_pylist() == [1, 2, 3, None]

    @pytest.mark.parametrize("batch_rows", [1, 2, 10])
    @pytest.mark.parametrize("ids", [(1, 3, 2), (2, 1), (None, 1)])
    def test_refuse_rows_before_their_turn(self, ids, batch_rows):
        rows = checked_keys(self.rows(*ids, batch_rows=batch_rows), ("id",), is_sorted=False)

        with pytest.raises(OutOfOrderError):
            rows.read_all()


@pytest.mark.hostile(21)
def test_duckdb_sorts_nan_and_null_last():
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT x::VARCHAR FROM (VALUES ('nan'::DOUBLE), (NULL), ('inf'), (1)) t(x) ORDER BY x"
        ).fetchall()

    assert [row[0] for row in rows] == ["1.0", "inf", "nan", None]
