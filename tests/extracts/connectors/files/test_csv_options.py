"""CSV as the world writes it: encodings, notations, and lines that are no data."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.connectors import ColumnSpec
from extracts.connectors.files.csv_records import CsvRowError, NotCsvError
from extracts.connectors.files.table_settings import FilesTable


class TestEncoding:
    @pytest.mark.parametrize(
        ("encoding", "text"),
        [
            ("cp1250", "Žluťoučký kůň"),
            ("cp1252", "déjà vu 5 €"),
            ("iso-8859-1", "Grüße"),
            ("shift_jis", "日本語テスト"),
            ("utf-16-le", "žába"),
            ("utf-16", "🐸"),
            ("utf-8", "žába"),
        ],
    )
    def test_of_the_settings_is_read(self, folder, extracted, encoding, text):
        (folder / "t.csv").write_bytes(f"id,t\n1,{text}\n".encode(encoding))

        assert extracted("t.csv", encoding=encoding).rows == [{"id": 1, "t": text}]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_is_known_by_its_mark(self, folder, extracted, encoding):
        (folder / "t.csv").write_bytes("id,t\n1,žába\n".encode(encoding))

        assert extracted("t.csv").rows == [{"id": 1, "t": "žába"}]

    @pytest.mark.hostile(18)
    def test_that_is_mixed_is_refused_with_row_and_column(self, folder, extracted):
        (folder / "t.csv").write_bytes("id,t\n1,žába\n".encode() + "2,žába\n".encode("cp1250"))

        with pytest.raises(CsvRowError) as refusal:
            extracted("t.csv")

        assert refusal.value.message == "t.csv, row 3, column 't': the text is not in UTF-8."
        assert refusal.value.details == {"file": "t.csv", "row": 3, "column": "t"}

    @pytest.mark.parametrize("name", ["utf-16", "U16", "utf-32"])
    def test_that_needs_a_mark_is_refused_without_one(self, folder, extracted, name):
        (folder / "t.csv").write_bytes("id,t\n1,a\n".encode("utf-16-le"))

        with pytest.raises(NotCsvError, match="does not begin with the mark") as caught:
            extracted("t.csv", encoding=name)

        assert "-le or utf-" in caught.value.hint

    @pytest.mark.parametrize("name", ["klingon", "hex", ""])
    def test_must_exist(self, name):
        with pytest.raises(ValidationError, match="no encoding"):
            FilesTable(encoding=name)


class TestCompression:
    def test_may_be_zstd_also_of_several_frames(self, folder, extracted):
        pack = pa.Codec("zstd").compress
        (folder / "t.csv.zst").write_bytes(
            pack(b"id\n1\n", asbytes=True) + pack(b"2\n", asbytes=True)
        )

        assert [row["id"] for row in extracted("t.csv.zst").rows] == [1, 2]

    def test_may_be_gzip_of_several_members(self, folder, extracted):
        (folder / "t.csv.gz").write_bytes(gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))

        assert [row["id"] for row in extracted("t.csv.gz").rows] == [1, 2]

    def test_that_was_cut_off_is_refused(self, folder, extracted):
        whole = pa.Codec("zstd").compress(b"id\n" + b"1\n" * 50_000, asbytes=True)
        (folder / "t.csv.zst").write_bytes(whole[:-4])

        with pytest.raises(NotCsvError, match=r"t\.csv\.zst is damaged, cut off"):
            extracted("t.csv.zst")


class TestNotation:
    @pytest.mark.parametrize(
        ("options", "texts", "kind", "values"),
        [
            ({"decimal_mark": ","}, ["1,5", "-2", ",25"], "DOUBLE", [1.5, -2.0, 0.25]),
            ({"decimal_mark": ","}, ["1.5"], "VARCHAR", ["1.5"]),
            (
                {"decimal_mark": ",", "thousands_mark": "."},
                ["1.234.567,8", "12,5"],
                "DOUBLE",
                [1234567.8, 12.5],
            ),
            ({"thousands_mark": " "}, ["1\u00a0234", "5", "12 000"], "BIGINT", [1234, 5, 12000]),
            ({"thousands_mark": ","}, ["1,23"], "VARCHAR", ["1,23"]),
            ({"date_formats": ["%d.%m.%Y"]}, ["31.1.2026"], "DATE", [date(2026, 1, 31)]),
            ({"date_formats": ["%d.%m.%Y"]}, ["32.1.2026"], "VARCHAR", ["32.1.2026"]),
            (
                {"timestamp_formats": ["%d/%m/%Y %H:%M"]},
                ["31/01/2026 08:05"],
                "TIMESTAMP",
                [datetime(2026, 1, 31, 8, 5)],  # noqa: DTZ001  a time without a zone
            ),
            (
                {"timestamp_formats": ["%Y-%m-%dT%H:%M:%S%z"]},
                ["2026-01-31T08:00:00+0200"],
                "TIMESTAMP WITH TIME ZONE",
                [datetime(2026, 1, 31, 6, tzinfo=UTC)],
            ),
        ],
    )
    def test_decides_types_and_values(self, folder, extracted, options, texts, kind, values):
        (folder / "t.csv").write_text("x;y\n" + "".join(f"{text};a\n" for text in texts))

        found = extracted("t.csv", **options)

        assert found.types["x"] == kind
        assert [row["x"] for row in found.rows] == values

    def test_holds_for_given_types(self, folder, extracted):
        (folder / "t.csv").write_text("x;d\n1.234,50;31.12.2025\n")

        found = extracted(
            "t.csv",
            decimal_mark=",",
            thousands_mark=".",
            date_formats=["%d.%m.%Y"],
            types={"x": "DECIMAL(9,2)", "d": "DATE"},
        )

        assert found.types == {"x": "DECIMAL(9,2)", "d": "DATE"}
        assert [str(row["x"]) for row in found.rows] == ["1234.50"]

    def test_of_later_rows_is_checked(self, folder, extracted):
        (folder / "t.csv").write_text("x;y\n1,5;a\n1.5;b\n")

        with pytest.raises(CsvRowError, match="row 3, column 'x': the value is not a DOUBLE"):
            extracted("t.csv", decimal_mark=",", types={"x": "DOUBLE"})

    @pytest.mark.parametrize("form", ["%Q", "%Y%", "2026", "%%Y", "%-Y"])
    def test_needs_signs_that_are_known(self, form):
        with pytest.raises(ValidationError, match="signs of strptime"):
            FilesTable(date_formats=(form,))

    def test_needs_marks_that_differ(self):
        with pytest.raises(ValidationError, match="same character"):
            FilesTable(decimal_mark=",", thousands_mark=",")


class TestLinesThatAreNoData:
    def test_are_passed_over_above_below_and_between(self, folder, extracted):
        (folder / "t.csv").write_text(
            'Report of today\n\n# made by hand\nid,t\n# one\n1,a\n2,"b\n#c"\nTotal,2\n(2 rows)\n'
        )

        found = extracted("t.csv", skip_rows=2, comment="#", skip_footer=2)

        assert found.rows == [{"id": 1, "t": "a"}, {"id": 2, "t": "b\n#c"}]

    def test_do_not_change_the_number_of_a_bad_row(self, folder, extracted):
        (folder / "t.csv").write_text('title\n#\nid,t\n#\n1,a\n"2\n",b\n3\n')

        with pytest.raises(CsvRowError, match="row 8: there are fewer values"):
            extracted("t.csv", skip_rows=1, comment="#")

    def test_alone_make_no_table(self, folder, extracted):
        (folder / "t.csv").write_text("# a\n# b\n")

        with pytest.raises(NotCsvError, match="nothing but lines that are passed over"):
            extracted("t.csv", comment="#")

    def test_leave_a_missing_end_of_line_alone(self, folder, extracted):
        (folder / "t.csv").write_bytes(b"id,t\r\n1,a\r\n2,b")

        assert [row["t"] for row in extracted("t.csv").rows] == ["a", "b"]


class TestSigns:
    def test_may_be_no_quote_at_all(self, folder, extracted):
        (folder / "t.csv").write_text('id,t\n1,5" pipe\n2,"\n')

        assert [row["t"] for row in extracted("t.csv", quote="").rows] == ['5" pipe', '"']

    def test_may_be_another_quote_and_an_escape(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1,'it\\'s, it'\n")

        assert extracted("t.csv", quote="'", escape="\\").rows == [{"id": 1, "t": "it's, it"}]

    def test_need_an_escape_that_is_no_delimiter(self):
        with pytest.raises(ValidationError, match="same character"):
            FilesTable(delimiter=",", escape=",")

    def test_of_tsv_are_tabs(self, folder, extracted):
        (folder / "t.tsv").write_text("id\ta,b\n1\tx,y\n")

        assert extracted("t.tsv").rows == [{"id": 1, "a,b": "x,y"}]

    def test_of_a_file_with_another_name_follow_its_format(self, folder, extracted):
        (folder / "export.txt").write_text("id\tt\n1\tx\n")

        assert extracted("export.txt", format="tsv").rows == [{"id": 1, "t": "x"}]

    @settings(
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        rows=st.lists(
            st.tuples(
                *[
                    st.text(
                        st.characters(
                            codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]
                        ),
                        max_size=12,
                    )
                ]
                * 3
            ),
            max_size=6,
        ),
        delimiter=st.sampled_from(",;\t|"),
        quote=st.sampled_from("\"'"),
        end=st.sampled_from(["\n", "\r\n"]),
        encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    )
    def test_give_what_the_csv_module_wrote(
        self, folder, extracted, rows, delimiter, quote, end, encoding
    ):
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=csv.QUOTE_ALL
        )
        writer.writerows([["a", "b", "c"], *rows])
        (folder / "t.csv").write_bytes(text.getvalue().encode(encoding))

        found = extracted(
            "t.csv",
            delimiter=delimiter,
            quote=quote,
            null_strings=["<none>"],
            types=dict.fromkeys("abc", "VARCHAR"),
        )

        assert [tuple(row.values()) for row in found.rows] == rows


@pytest.mark.hostile(15)
class TestNames:
    def test_that_cannot_be_used_become_others_and_the_run_says_so(self, folder, extracted):
        header = 'id,ID,,"a\nb",x\u202ey,' + "l" * 10_000 + ",ID_2\n"
        (folder / "t.csv").write_text(header + "1,2,3,4,5,6,7\n")

        found = extracted("t.csv")

        assert list(found.rows[0]) == ["id", "ID_3", "column_3", "ab", "xy", "l" * 255, "ID_2"]
        (note,) = found.notes
        assert note.startswith(
            "t.csv: columns without a usable name of their own: 2 'ID' is 'ID_3'"
        )
        assert "\u202e" not in note

    def test_are_matched_without_case(self, folder, extracted):
        (folder / "1.csv").write_text("ID,Name\n1,x\n")
        (folder / "2.csv").write_text("name,id\ny,2\n")

        assert extracted("*.csv").rows == [{"ID": 1, "Name": "x"}, {"ID": 2, "Name": "y"}]

    def test_of_columns_without_any_may_stand_above_an_empty_row(self, folder, extracted):
        (folder / "t.csv").write_text(",,\n1,2,3\n")

        assert len(extracted("t.csv", has_header=False).rows) == 2

    def test_that_look_like_sql_are_names(self, folder, extracted):
        (folder / "t.csv").write_text('"x"") OR 1=1 --",b\n1,2\n')

        assert extracted("t.csv").rows == [{'x") OR 1=1 --': 1, "b": 2}]

    def test_are_the_same_each_time(self, folder, extracted):
        (folder / "t.csv").write_text("a,a,,a\n1,2,3,4\n")

        first = extracted("t.csv")
        again = extracted(
            "t.csv", known=tuple(ColumnSpec(name=c.name, type=c.type) for c in first.columns)
        )

        assert list(first.rows[0]) == list(again.rows[0]) == ["a", "a_2", "column_3", "a_3"]
