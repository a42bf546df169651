from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

from extracts.engine.keys import DuplicateKeyError, PrimaryKeyMissingError
from tests.extracts.connectors.contract import REPOSITORY
from tests.extracts.connectors.files.extracting import extract, rows_of


class TestPrimaryKey:
    def test_decides_the_order_of_rows(self, folder):
        (folder / "t.csv").write_text("id,label\n3,c\n1,a\n,z\n2,b\n")

        assert [row["id"] for row in rows_of(folder, "t.csv", key=("ID",))] == [1, 2, 3, None]

    def test_makes_the_bytes_independent_of_the_order_of_rows(self, folder):
        (folder / "a.csv").write_text("id,label\n3,c\n1,a\n2,b\n")
        (folder / "b.csv").write_text("id,label\n1,a\n2,b\n3,c\n")

        (first,) = extract(folder, "a.csv", run="a", key=("id",)).parts
        (second,) = extract(folder, "b.csv", run="b", key=("id",)).parts

        assert first.path.read_bytes() == second.path.read_bytes()

    def test_refuses_duplicates_without_showing_them(self, folder):
        (folder / "t.csv").write_text("region,id\nnorth,7731\nsouth,7731\nnorth,7731\n")

        with pytest.raises(DuplicateKeyError) as refusal:
            extract(folder, "t.csv", key=("region", "id"))

        assert "(region, id)" in refusal.value.message
        assert "7731" not in refusal.value.message

    def test_must_name_columns_that_exist(self, folder):
        (folder / "t.csv").write_text("id\n1\n")

        with pytest.raises(PrimaryKeyMissingError, match="'nope'"):
            extract(folder, "t.csv", key=("nope",))


class TestMemory:
    @pytest.mark.parametrize("key", [(), ("c0",)])
    def test_is_bounded_for_a_wide_table(self, folder, key):
        with duckdb.connect() as connection:
            columns = ", ".join(f"(i * {n + 7919} % 1000003) AS c{n}" for n in range(300))
            connection.execute(
                f"COPY (SELECT {columns} FROM range(1, 15_001) t(i)) TO '{folder / 'wide.csv'}'"
            )
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from tests.extracts.connectors.files.extracting import extract, peak_mib\n"
            "import duckdb\nduckdb.connect().execute('SELECT 1').fetchall()\n"
            "before = peak_mib()\n"
            "extract(Path(sys.argv[1]), 'wide.csv', key=tuple(sys.argv[2:]))\n"
            "print(peak_mib() - before)"
        )

        used_mib = subprocess.run(
            [sys.executable, "-c", program, str(folder), *key],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

        assert int(used_mib) <= 256
