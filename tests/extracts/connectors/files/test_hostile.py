"""Hostile CSV files: an error that says where, or rows; never a crash, and little memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys

import duckdb
import pytest

from extracts.connectors.files.csv_records import CsvRowError, NotCsvError
from extracts.connectors.files.errors import FileUnusableError
from tests.extracts.connectors.contract import REPOSITORY

MEASURED = (
    "import sys, duckdb\nfrom pathlib import Path\n"
    "from agnes_site.core.errors import AgnesError\n"
    "from tests.extracts.connectors.files.extracting import extract, peak_mib\n"
    "duckdb.connect().execute('SELECT 1').fetchall()\n"
    "before = peak_mib()\n"
    "try:\n    print(extract(Path(sys.argv[1]), sys.argv[2]).parts[0].rows)\n"
    "except AgnesError as error:\n    print(error.message)\n"
    "print(peak_mib() - before)"
)


def measured(folder, name: str, **environ: str) -> tuple[str, int]:
    """Return what another process says of a file, and the memory (MiB) that it took."""
    told = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder), name],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
        env={**os.environ, **environ},
    ).stdout.splitlines()  # fmt: skip
    return "\n".join(told[:-1]), int(told[-1])


def one_line(size: int) -> bytes:
    """A gzip file of one line, made without having it in memory."""
    chunk = gzip.compress(b"x" * 10_000_000)
    return gzip.compress(b"id,t\n1,") + chunk * (size // 10_000_000) + gzip.compress(b"\n2,b\n")


@pytest.mark.hostile(18)
class TestLongLine:
    @pytest.mark.parametrize(
        "size", [50_000_000, pytest.param(1_000_000_000, marks=pytest.mark.slow)]
    )
    def test_is_refused_with_its_row_and_takes_little_memory(self, folder, size):
        (folder / "t.csv.gz").write_bytes(one_line(size))

        told, mebibytes = measured(folder, "t.csv.gz")

        assert told == "t.csv.gz, row 2: the row is longer than 2000000 bytes."
        assert mebibytes <= 256

    def test_of_almost_the_limit_is_read_however_many_there_are(self, folder):
        line = b"1," + b"x" * 1_900_000 + b"\n"
        (folder / "t.csv.gz").write_bytes(gzip.compress(b"id,t\n") + gzip.compress(line) * 100)

        told, mebibytes = measured(folder, "t.csv.gz")

        assert told == "100"
        assert mebibytes <= 256

    def test_in_place_of_a_header_is_refused(self, folder, extracted):
        (folder / "t.csv").write_bytes(b"x" * 5_000_000)

        with pytest.raises(NotCsvError, match=r"t\.csv, row 1: the line is too long"):
            extracted("t.csv")


@pytest.mark.hostile(18)
class TestColumns:
    def test_a_million_are_refused(self, folder, extracted):
        (folder / "t.csv").write_text(",".join(["a"] * 900_000) + "\n")

        with pytest.raises(FileUnusableError, match="900,000 columns; a table has 5,000 at most"):
            extracted("t.csv")

    @pytest.mark.slow
    def test_three_thousand_are_read(self, folder):
        columns = ", ".join(f"(i * {n + 7919} % 1000003) AS c{n}" for n in range(3_000))
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT {columns} FROM range(1, 2_001) t(i)) TO '{folder / 't.csv'}'"
            )

        told, _ = measured(folder, "t.csv")

        assert told == "2000"


@pytest.mark.hostile(18)
class TestContent:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"PK\x05\x06" + b"\0" * 18, "an empty ZIP archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
            (b"SQLite format 3\0", "an SQLite database"),
            (b"%PDF-1.7\n", "a PDF document"),
            (b"\x28\xb5\x2f\xfd\x04\x00", "compressed with zstd"),
            (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        ],
    )
    def test_of_another_kind_is_named(self, folder, extracted, content, said):
        (folder / "t.csv").write_bytes(content)

        with pytest.raises(NotCsvError, match=said):
            extracted("t.csv")

    def test_with_a_nul_far_in_is_refused_with_its_row(self, folder, extracted):
        (folder / "t.csv").write_bytes(b"id,t\n" + b"1,a\n" * 5_000 + b"2,\0\n")

        with pytest.raises(CsvRowError, match=r"t\.csv, row 5002: the row holds a NUL byte"):
            extracted("t.csv")

    def test_with_a_quote_that_is_never_closed_is_refused_with_its_row(self, folder, extracted):
        (folder / "t.csv").write_text('id,t\n1,a\n2,"b\n' + "3,c\n" * 100_000)

        with pytest.raises(CsvRowError, match=r"t\.csv, row 3: a quoted value is not closed"):
            extracted("t.csv")

    def test_that_would_be_a_formula_stays_text(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1,=cmd|' /C calc'!A0\n")

        assert extracted("t.csv").rows == [{"id": 1, "t": "=cmd|' /C calc'!A0"}]


class TestManyRows:
    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_that_are_read_with_care_take_the_memory_of_a_few(self, folder):
        with (folder / "t.csv").open("w", encoding="utf-16") as file:
            file.write("id,jméno,a,b,c,d,e,f,g,h\n")
            for n in range(1_200_000):
                file.write(f"{n},žluťoučký kůň {n % 977},{n / 7:.2f},2026-01-02,x,{n},y,z,text,Ž\n")

        # As the processes of runs have it, which give memory back sparingly.
        told, mebibytes = measured(
            folder, "t.csv", ARROW_DEFAULT_MEMORY_POOL="system", MALLOC_ARENA_MAX="2"
        )

        assert told == "1200000"
        assert mebibytes <= 256
