"""Files become tables as they are, or an error says which file, row and column to look at."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from agnes_site.core.errors import AgnesError, UpstreamError
from catalog.connectors import ColumnSpec, ExtractRequest, TableRequest
from extracts.connectors.files.connector import FilesConnector
from extracts.connectors.files.csv_records import CsvRowError, NotCsvError
from extracts.connectors.files.errors import TableSettingsError
from extracts.connectors.files.listing import (
    SourceFileRefusedError,
    SourceFilesMissingError,
    SourceFolderMissingError,
)
from extracts.connectors.files.settings import FilesConfig, FilesTable
from extracts.engine.candidate import Candidate
from extracts.engine.combining import PartsDifferError
from extracts.engine.keys import DuplicateKeyError, PrimaryKeyMissingError
from extracts.engine.publish import DamagedFileError, validate
from tests.extracts.connectors.contract import REPOSITORY, TEST_REACH, ConnectorContract

FLIGHTS = REPOSITORY.parent / "shared" / "data" / "nycflights13"
needs_flights = pytest.mark.skipif(
    not FLIGHTS.is_dir() and "CI" not in os.environ, reason="the data of nycflights13 is absent"
)


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


def files_connector(**given) -> FilesConnector:
    return FilesConnector(**given).within(TEST_REACH)


def request_of(source_table: str, *, key=(), known=(), **options) -> ExtractRequest:
    return ExtractRequest(
        table=TableRequest(
            name="t",
            source_table=source_table,
            primary_key=key,
            known_columns=known,
            options=FilesTable(**options),
        )
    )


def extract(folder: Path, source_table: str, *, run: str = "run", **request):
    out = Candidate(folder.parent / run)
    config = FilesConfig(folder=folder)
    return files_connector().extract(config, {}, request_of(source_table, **request), out)


def rows_of(folder: Path, source_table: str, **request) -> list[dict]:
    (part,) = extract(folder, source_table, **request).parts
    validate(part.path, expected_rows=part.rows)
    return pq.read_table(part.path).to_pylist()


def types_of(folder: Path, source_table: str, **request) -> dict[str, str]:
    (part,) = extract(folder, source_table, **request).parts
    columns = validate(part.path, expected_rows=part.rows).columns
    return {column.name: column.type for column in columns}


class TestFilesConnectorWithCsv(ConnectorContract):
    @pytest.fixture
    def connector(self):
        return files_connector()

    @pytest.fixture
    def config(self, folder):
        (folder / "orders.csv").write_text("id,label\n1,a\n2,b\n3,c\n")
        return FilesConfig(folder=folder)

    @pytest.fixture
    def table(self):
        return request_of("orders.csv", key=("id",)).table


class TestFilesConnectorWithParquet(ConnectorContract):
    @pytest.fixture
    def connector(self):
        return files_connector()

    @pytest.fixture
    def config(self, folder):
        (folder / "orders").mkdir()
        pq.write_table(pa.table({"id": [3, 1]}), folder / "orders" / "a.parquet")
        pq.write_table(pa.table({"id": [2, 4]}), folder / "orders" / "b.parquet")
        return FilesConfig(folder=folder)

    @pytest.fixture
    def table(self):
        return request_of("orders").table


class TestDiscover:
    def test_makes_a_table_of_each_file_and_of_each_folder_of_one_kind(self, folder):
        (folder / "orders 2025.csv").write_text("id\n1\n")
        (folder / "notes.txt").write_text("not a table")
        (folder / "events").mkdir()
        for month in ("01", "02"):
            pq.write_table(pa.table({"id": [1]}), folder / "events" / f"{month}.parquet")
        (folder / "mixed").mkdir()
        (folder / "mixed" / "a.csv").write_text("a\n1\n")
        pq.write_table(pa.table({"b": [1]}), folder / "mixed" / "b.parquet")

        specs = list(files_connector().discover(FilesConfig(folder=folder), {}))

        assert [(spec.name, spec.source_table) for spec in specs] == [
            ("orders_2025", "orders 2025.csv"),
            ("events", "events"),
            ("a", "mixed/a.csv"),
            ("b", "mixed/b.parquet"),
        ]
        assert specs[0].columns == (ColumnSpec(name="id", type="BIGINT"),)
        assert specs[0].bytes == 5

    def test_is_not_stopped_by_a_bad_file(self, folder):
        (folder / "bad.csv").write_bytes(b"")
        (folder / "good.csv").write_text("id\n1\n")

        bad, good = files_connector().discover(FilesConfig(folder=folder), {})

        assert bad.columns == ()
        assert bad.problem.startswith("bad.csv is empty. ")
        assert good.columns

    def test_says_with_a_bad_file_what_to_do(self, folder):
        (folder / "bad.csv").write_bytes("číslo\n1\n".encode("cp1250"))

        (bad,) = files_connector().discover(FilesConfig(folder=folder), {})

        assert "Set encoding in the settings of the table" in bad.problem

    def test_needs_the_folder_and_not_a_file_in_it(self, folder):
        (folder / "a.csv").write_text("id\n1\n")

        with pytest.raises(SourceFolderMissingError, match="is a file") as failed:
            files_connector().test(FilesConfig(folder=folder / "a.csv"), {})

        assert "Give the folder" in failed.value.hint

    def test_needs_the_folder(self, folder):
        with pytest.raises(SourceFolderMissingError):
            files_connector().test(FilesConfig(folder=folder / "missing"), {})


class TestSettings:
    def test_refuse_a_relative_folder(self):
        with pytest.raises(ValidationError, match="beginning with /"):
            FilesConfig(folder="data")

    @pytest.mark.parametrize("kind", ["BIGINT; DROP TABLE x", "INTEGER'", ""])
    def test_refuse_what_is_no_type(self, kind):
        with pytest.raises(ValidationError):
            FilesTable(types={"id": kind})


class TestTypes:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (["1", "-20", ""], "BIGINT"),
            (["9007199254740993", "1"], "BIGINT"),
            (["9223372036854775808"], "VARCHAR"),
            (["00501", "10001"], "VARCHAR"),
            (["+420123456789"], "VARCHAR"),
            (["1", "2.5", "1e3"], "DOUBLE"),
            (["9007199254740993", "2.5"], "VARCHAR"),
            (["true", "FALSE"], "BOOLEAN"),
            (["2025-01-31"], "DATE"),
            (["2025-02-30"], "VARCHAR"),
            (["31/12/2025"], "VARCHAR"),
            (["2025-01-31", "2025-01-31 10:00:00"], "TIMESTAMP"),
            (["2025-01-31T10:00:00.25"], "TIMESTAMP"),
            (["2025-01-31T10:00:00Z", "2025-01-31 10:00:00+01:00"], "TIMESTAMP WITH TIME ZONE"),
            (["2025-01-31T10:00:00Z", "2025-01-31T10:00:00"], "VARCHAR"),
            (["10:00:00"], "TIME"),
            (["", ""], "VARCHAR"),
            (["=cmd|' /C calc'!A0"], "VARCHAR"),
        ],
    )
    def test_are_guessed_without_changing_a_value(self, folder, values, kind):
        (folder / "t.csv").write_text("x,y\n" + "".join(f"{value},1\n" for value in values))

        assert types_of(folder, "t.csv")["x"] == kind

    @pytest.mark.parametrize(
        ("early", "late", "kind"),
        [
            ("1", "1.5", "BIGINT"),
            ("1", "007", "BIGINT"),
            ("1", "1_000", "BIGINT"),
            ("2025-01-01", "2025-01-01 10:00:00", "DATE"),
            ("2025-01-01 10:00:00", "2025-01-01T10:00:00+02:00", "TIMESTAMP"),
            ("2025-01-01T10:00:00Z", "2025-01-01T10:00:00", "TIMESTAMP WITH TIME ZONE"),
            ("true", "yes", "BOOLEAN"),
        ],
    )
    def test_that_were_guessed_hold_for_every_later_row(self, folder, early, late, kind):
        lines = [f"{i},{early}\n" for i in range(25_000)]
        (folder / "t.csv").write_text("id,x\n" + "".join(lines) + f"25000,{late}\n")

        with pytest.raises(CsvRowError) as refusal:
            extract(folder, "t.csv")

        assert refusal.value.message == (
            f"t.csv, row 25002, column 'x': the value is not a {kind}."
        )
        assert 'types = {"x": "VARCHAR"}' in refusal.value.hint
        assert refusal.value.details == {"file": "t.csv", "row": 25_002, "column": "x"}

    def test_of_the_settings_win_over_known_ones_and_those_over_guesses(self, folder):
        (folder / "t.csv").write_text("a,b,c\n1,2,3\n")
        known = (ColumnSpec(name="A", type="DOUBLE"), ColumnSpec(name="b", type="DOUBLE"))

        types = types_of(folder, "t.csv", known=known, types={"a": "decimal(9,2)"})

        assert types == {"a": "DECIMAL(9,2)", "b": "DOUBLE", "c": "BIGINT"}

    @pytest.mark.parametrize(
        ("types", "said"), [({"z": "DATE"}, "no such column"), ({"a": "FOO"}, "does not exist")]
    )
    def test_of_the_settings_must_fit(self, folder, types, said):
        (folder / "t.csv").write_text("a\n1\n")

        with pytest.raises(TableSettingsError, match=said):
            extract(folder, "t.csv", types=types)


class TestCsv:
    def test_is_read_as_it_is_written(self, folder):
        (folder / "t.csv").write_bytes(
            b'\xef\xbb\xbfid,"a ""b""",when\r\n1,"x, ""y""\r\nz",2025-01-31T10:00:00Z\r\n2,NA,\r\n'
        )

        assert rows_of(folder, "t.csv", null_strings=["", "NA"]) == [
            {"id": 1, 'a "b"': 'x, "y"\r\nz', "when": datetime(2025, 1, 31, 10, tzinfo=UTC)},
            {"id": 2, 'a "b"': None, "when": None},
        ]

    @pytest.mark.parametrize("sign", [";", "\t", "|", ","])
    def test_may_have_any_usual_delimiter(self, folder, sign):
        (folder / "t.csv").write_text(f"a{sign}b\n1{sign}x\n")

        assert rows_of(folder, "t.csv") == [{"a": 1, "b": "x"}]

    def test_takes_delimiter_and_header_from_the_settings(self, folder):
        (folder / "t.csv").write_text("1~x\n2~y\n")

        rows = rows_of(folder, "t.csv", delimiter="~", has_header=False)

        assert rows == [{"column_1": 1, "column_2": "x"}, {"column_1": 2, "column_2": "y"}]

    @pytest.mark.hostile(18)
    def test_may_have_a_header_only(self, folder):
        (folder / "t.csv").write_text("a,b\n")

        assert types_of(folder, "t.csv") == {"a": "VARCHAR", "b": "VARCHAR"}
        assert rows_of(folder, "t.csv", run="again") == []

    def test_of_several_files_is_matched_by_name_in_the_order_of_names(self, folder):
        (folder / "in").mkdir()
        (folder / "in" / "2.csv").write_text("B;id\n2.5;3\n")
        (folder / "in" / "1.csv").write_text("id,a\n1,x\n2,y\n")
        (folder / "in" / "3.csv.gz").write_bytes(gzip.compress(b"id,a\n4,z\n"))

        rows = rows_of(folder, "in")

        assert rows == [
            {"id": 1, "a": "x", "B": None},
            {"id": 2, "a": "y", "B": None},
            {"id": 3, "a": None, "B": 2.5},
            {"id": 4, "a": "z", "B": None},
        ]

    def test_may_have_a_name_that_means_something_to_duckdb(self, folder):
        (folder / "a[1]*'?.csv").write_text("a\n1\n")
        (folder / "a1.csv").write_text("a\n2\n")

        assert rows_of(folder, "a[1]*'?.csv") == [{"a": 1}]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("a,b\n1,2\n3\n", "t.csv, row 3: there are fewer values than columns."),
            ("a,b\n1,2\n3,4,5\n", "t.csv, row 3: there are more values than columns."),
            ('a,b\n1,2\n3,"x\n', "t.csv, row 3: a quoted value is not closed"),
            ("a,b\n1," + "x" * 2_100_000 + "\n", "t.csv, row 2: the row is longer than"),
        ],
    )
    def test_with_a_bad_row_is_refused_with_its_place(self, folder, content, said):
        (folder / "t.csv").write_text(content)

        with pytest.raises(CsvRowError) as refusal:
            extract(folder, "t.csv")

        assert refusal.value.message.startswith(said)

    def test_in_another_encoding_is_refused_with_its_place(self, folder):
        (folder / "t.csv").write_bytes("a,b\n1,x\n2,čaj\n".encode("cp1250"))

        with pytest.raises(
            CsvRowError, match=r"t\.csv, row 3, column 'b': the text is not in UTF-8"
        ):
            extract(folder, "t.csv")

    def test_may_have_mixed_line_ends(self, folder):
        (folder / "t.csv").write_bytes(b"a,b\r\n1,2\n3,4\r5,6")

        assert [row["a"] for row in rows_of(folder, "t.csv")] == [1, 3, 5]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b"\n\na,b\n", "first line of t.csv is empty"),
            (b"<!DOCTYPE html><html>", "an HTML page"),
            (b"PK\x03\x04rest", "a ZIP archive"),
            (b"\0" * 8 + b"DUCK" + b"\0" * 100, "a DuckDB database"),
            (b"PAR1....PAR1", "a Parquet file"),
            (gzip.compress(b"a\n1\n", mtime=0), "gzip"),
            (b"a\0b\n1\n", "not text"),
            ("č,b\n1,2\n".encode("cp1250"), "not in UTF-8"),
        ],
    )
    def test_that_is_something_else_is_refused(self, folder, content, said):
        (folder / "t.csv").write_bytes(content)

        with pytest.raises(NotCsvError, match=said):
            extract(folder, "t.csv")

    def test_that_is_a_real_workbook_is_refused(self, folder):
        with zipfile.ZipFile(folder / "t.csv", "w") as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")

        with pytest.raises(NotCsvError, match="ZIP"):
            extract(folder, "t.csv")

    @pytest.mark.parametrize("kept", [-4, -2000])
    def test_that_was_cut_while_compressed_is_refused(self, folder, kept):
        lines = "".join(f"{i},{i * 7919 % 10007}\n" for i in range(50_000))
        (folder / "t.csv.gz").write_bytes(gzip.compress(f"a,b\n{lines}".encode())[:kept])

        with pytest.raises(NotCsvError, match=r"t\.csv\.gz is damaged"):
            extract(folder, "t.csv.gz")


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


@pytest.mark.hostile(20)
class TestSourceTable:
    @pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "a/../../x.csv", "", "a\0b"])
    def test_stays_below_the_folder(self, folder, name):
        (folder.parent / "secret.csv").write_text("a\n1\n")

        with pytest.raises(SourceFileRefusedError):
            extract(folder, name)

    @pytest.mark.parametrize("name", ["link.csv", "*.csv", "inner/secret.csv", "inner"])
    def test_stays_below_the_folder_through_links(self, folder, name):
        outside = folder.parent / "outside"
        outside.mkdir()
        (outside / "secret.csv").write_text("a\n1\n")
        (folder / "link.csv").symlink_to(outside / "secret.csv")
        (folder / "inner").symlink_to(outside)

        with pytest.raises(SourceFileRefusedError, match="outside"):
            extract(folder, name)

    def test_may_be_a_link_that_stays_inside(self, folder):
        (folder / "2025.csv").write_text("a\n1\n")
        (folder / "latest.csv").symlink_to("2025.csv")

        assert rows_of(folder, "latest.csv") == [{"a": 1}]

    @pytest.mark.parametrize("name", ["missing.csv", "*.csv", "empty"])
    def test_must_exist(self, folder, name):
        (folder / "empty").mkdir()

        with pytest.raises(SourceFilesMissingError):
            extract(folder, name)

    def test_must_not_be_a_folder_with_the_name_of_a_file(self, folder):
        (folder / "t.csv").mkdir()

        with pytest.raises(SourceFileRefusedError, match="is not a file"):
            extract(folder, "t.csv")

    def test_must_not_be_a_pipe(self, folder):
        os.mkfifo(folder / "t.csv")

        with pytest.raises(SourceFileRefusedError, match="is not a file"):
            extract(folder, "t.csv")

    def test_must_be_of_one_kind(self, folder):
        (folder / "in").mkdir()
        (folder / "in" / "a.csv").write_text("a\n1\n")
        pq.write_table(pa.table({"a": [1]}), folder / "in" / "b.parquet")

        with pytest.raises(SourceFileRefusedError, match="CSV and Parquet"):
            extract(folder, "in")

    def test_must_be_supported(self, folder):
        (folder / "t.docx").write_bytes(b"PK")

        with pytest.raises(SourceFileRefusedError, match="of no known format"):
            extract(folder, "t.docx")


class TestUnchanged:
    def run(self, connector, folder, request, name):
        out = Candidate(folder.parent / name)
        return connector.extract(FilesConfig(folder=folder), {}, request, out)

    def later(self) -> FilesConnector:
        """A connector that runs two minutes after the files were written."""
        return files_connector(now_ns=lambda: time.time_ns() + 120 * 10**9)

    def test_files_are_not_read_again(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        request = request_of("t.csv")
        first = self.run(self.later(), folder, request, "1")

        again = ExtractRequest(table=request.table, state=first.state)
        second = self.run(self.later(), folder, again, "2")

        assert second.is_unchanged
        assert second.state == first.state

    def test_fresh_files_are_always_read(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        first = self.run(files_connector(), folder, request_of("t.csv"), "1")

        assert first.state == {}

    def test_a_rewritten_file_is_read_though_its_times_and_size_are_the_same(self, folder):
        path = folder / "t.csv"
        path.write_text("a\n1\n")
        request = request_of("t.csv")
        first = self.run(self.later(), folder, request, "1")
        old = path.stat()
        path.write_text("a\n2\n")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))

        again = ExtractRequest(table=request.table, state=first.state)
        second = self.run(self.later(), folder, again, "2")

        assert not second.is_unchanged
        assert pq.read_table(second.parts[0].path).to_pylist() == [{"a": 2}]

    def test_other_settings_read_the_files_again(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        first = self.run(self.later(), folder, request_of("t.csv"), "1")

        other = request_of("t.csv", types={"a": "VARCHAR"}).table
        second = self.run(self.later(), folder, ExtractRequest(table=other, state=first.state), "2")

        assert not second.is_unchanged

    def test_a_file_that_changes_while_it_is_read_is_tried_again(self, folder):
        path = folder / "t.csv"
        path.write_text("a\n1\n")

        def change(phase, *, done=0, total=None, message=""):
            path.write_text("a\n1\n2\n")

        out = Candidate(folder.parent / "run", progress=change)
        with pytest.raises(UpstreamError, match="changed while"):
            files_connector().extract(FilesConfig(folder=folder), {}, request_of("t.csv"), out)


@needs_flights
class TestRealData:
    NULLS = ("", "NA")

    def test_of_flights_arrive_completely(self, tmp_path):
        folder = self.copied(tmp_path, "flights.csv.gz")

        (part,) = extract(folder, "flights.csv.gz", null_strings=self.NULLS).parts

        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), sum(distance), count(dep_delay), min(time_hour)::VARCHAR "
                f"FROM '{part.path}'"
            ).fetchone()
            theirs = connection.execute(
                "SELECT count(*), sum(distance), count(nullif(dep_delay, 'NA')), NULL FROM "
                f"read_csv('{folder / 'flights.csv.gz'}', types = {{'dep_delay': 'VARCHAR'}})"
            ).fetchone()
        assert found[:3] == theirs[:3]
        assert found[0] == part.rows == 336_776

    @pytest.mark.hostile(21)
    def test_of_the_weather_keep_nulls_and_time_zone(self, tmp_path):
        folder = self.copied(tmp_path, "weather.csv.gz")

        (part,) = extract(
            folder, "weather.csv.gz", null_strings=self.NULLS, key=("origin", "time_hour")
        ).parts

        types = {c.name: c.type for c in validate(part.path, expected_rows=26_115).columns}
        table = pq.read_table(part.path)
        assert types["time_hour"] == "TIMESTAMP WITH TIME ZONE"
        assert types["temp"] == types["wind_gust"] == "DOUBLE"
        assert table["wind_gust"].null_count == 20_778
        assert table["time_hour"][0].as_py() == datetime(2013, 1, 1, 6, tzinfo=UTC)

    def test_gives_the_same_bytes_in_another_process(self, tmp_path):
        folder = self.copied(tmp_path, "weather.csv.gz")
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from tests.extracts.connectors.test_files import extract\n"
            "(part,) = extract(Path(sys.argv[1]), 'weather.csv.gz', run=sys.argv[2],"
            " null_strings=('', 'NA')).parts\nprint(part.path)"
        )
        (mine,) = extract(folder, "weather.csv.gz", null_strings=self.NULLS).parts

        theirs = subprocess.run(
            [sys.executable, "-c", program, str(folder), "theirs"],
            cwd=REPOSITORY,
            env={**os.environ, "TZ": "America/New_York", "LC_ALL": "C"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

        assert Path(theirs).read_bytes() == mine.path.read_bytes()

    def copied(self, tmp_path: Path, name: str) -> Path:
        folder = tmp_path / "source"
        folder.mkdir()
        shutil.copy(FLIGHTS / name, folder / name)
        return folder


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
            "from tests.extracts.connectors.test_files import extract, peak_mib\n"
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


def peak_mib() -> int:
    """Return the most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


class TestErrors:
    def test_never_name_a_place_of_the_server(self, folder):
        (folder / "t.csv").write_text("a,b\n1\n")

        with pytest.raises(AgnesError) as refusal:
            extract(folder, "t.csv")

        assert str(folder.parent) not in f"{refusal.value.message} {refusal.value.hint}"
