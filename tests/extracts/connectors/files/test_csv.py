from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, datetime

import pytest

from extracts.connectors.files.csv_records import CsvRowError, NotCsvError
from tests.extracts.connectors.files.extracting import extract, rows_of, types_of


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

    @pytest.mark.hostile(15, 18)
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("inside", ["\n", "\r\n", "\r"])
    def test_keeps_its_rows_whatever_breaks_a_line_of_the_header(self, folder, end, inside):
        (folder / "t.csv").write_bytes(f'id,"two{inside}lines"{end}1,x{end}2,y{end}'.encode())

        assert rows_of(folder, "t.csv") == [{"id": 1, "twolines": "x"}, {"id": 2, "twolines": "y"}]

    @pytest.mark.hostile(18)
    def test_loses_no_line_where_the_header_ends_in_a_way_of_its_own(self, folder):
        (folder / "t.csv").write_bytes(b'note\nnote\nid,t\ry\n1,"\r\n "\n2,x\n')

        with pytest.raises(CsvRowError, match="row 4: there are fewer values"):
            rows_of(folder, "t.csv", skip_rows=2)

    @pytest.mark.hostile(18)
    def test_keeps_its_rows_below_a_line_with_a_quote(self, folder):
        (folder / "t.csv").write_text('"Pipes\nid,t\n1,x\n2,y\n')

        found = rows_of(folder, "t.csv", skip_rows=1)

        assert found == [{"id": 1, "t": "x"}, {"id": 2, "t": "y"}]

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
