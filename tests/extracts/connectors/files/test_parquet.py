from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extracts.engine.combining import PartsDifferError
from extracts.engine.publish import DamagedFileError, validate
from tests.extracts.connectors.files.extracting import extract, rows_of


class TestParquet:
    def test_is_rewritten_by_our_writer(self, folder):
        rows = {"id": [1, 2], "total": [Decimal("1.25"), None], "day": [date(2025, 1, 1)] * 2}
        pq.write_table(pa.table(rows), folder / "snappy.parquet")
        pq.write_table(pa.table(rows), folder / "plain.parquet", compression="none")
        packed = gzip.compress((folder / "plain.parquet").read_bytes())
        (folder / "packed.parquet.gz").write_bytes(packed)

        hashes = set()
        for name in ("snappy.parquet", "plain.parquet", "packed.parquet.gz"):
            (part,) = extract(folder, name, run=f"run-{name}").parts
            assert pq.read_table(part.path).to_pydict() == rows
            hashes.add(validate(part.path, expected_rows=2).sha256)

        assert len(hashes) == 1

    def test_of_several_files_is_matched_by_name(self, folder):
        pq.write_table(pa.table({"id": [1], "a": ["x"]}), folder / "1.parquet")
        pq.write_table(pa.table({"b": [2.5], "ID": [2]}), folder / "2.parquet")

        assert rows_of(folder, "*.parquet") == [
            {"id": 1, "a": "x", "b": None},
            {"id": 2, "a": None, "b": 2.5},
        ]

    def test_of_types_that_do_not_fit_is_refused_by_name(self, folder):
        pq.write_table(pa.table({"id": [1]}), folder / "1.parquet")
        pq.write_table(pa.table({"id": ["x"]}), folder / "2.parquet")

        with pytest.raises(PartsDifferError, match=r"2\.parquet"):
            extract(folder, "*.parquet")

    @pytest.mark.hostile(17)
    def test_with_a_flipped_bit_is_refused(self, folder):
        path = folder / "t.parquet"
        pq.write_table(pa.table({"id": range(5000)}), path, write_page_checksum=True)
        data = bytearray(path.read_bytes())
        data[2000] ^= 4
        path.write_bytes(data)

        with pytest.raises(DamagedFileError, match=r"t\.parquet"):
            extract(folder, "t.parquet")

    @pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"<html></html>", b"PAR1"])
    def test_that_is_something_else_is_refused(self, folder, content):
        (folder / "t.parquet").write_bytes(content)

        with pytest.raises(DamagedFileError, match=r"t\.parquet"):
            extract(folder, "t.parquet")
