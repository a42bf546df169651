"""Sheets of workbooks become tables: numbers, dates and texts as they are."""

from __future__ import annotations

import gc
import gzip
import re
import zipfile
from datetime import date, datetime, time

import pytest

from catalog.connectors import ColumnSpec
from extracts.connectors.files.by_file import readers_by_file
from extracts.connectors.files.errors import RowError
from extracts.connectors.files.excel_reader import _Sheet
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.source_file import source_file
from extracts.connectors.files.workbook import WorkbookTooLargeError, WorkbookUnusableError
from extracts.engine.session import session
from tests.extracts.connectors.files.extracting import files_connector
from tests.extracts.connectors.files.places import table
from tests.extracts.connectors.workbooks import Fault, Number, write_workbook

ORDERS = [["id", "item"], [1, "apple"], [2, "pear"]]


class TestCells:
    def test_have_the_types_that_a_person_sees(self, folder, extracted):
        write_workbook(
            folder / "t.xlsx",
            {
                "One": [
                    ["id", "when", "day", "at", "took", "code", "done", "price"],
                    [1, Number("46053.5", "datetime"), Number("46053", "date"),
                     Number("0.5", "time"), Number("1.25", "duration"), "007", True, 1],
                    [2.0, None, Number("46054", "date"), None, None, " x ", False, 2.5],
                ]
            },
        )  # fmt: skip

        found = extracted("t.xlsx")

        assert found.types == {
            "id": "BIGINT", "when": "TIMESTAMP", "day": "DATE", "at": "TIME", "took": "VARCHAR",
            "code": "VARCHAR", "done": "BOOLEAN", "price": "DOUBLE",
        }  # fmt: skip
        assert found.rows == [
            {"id": 1, "when": datetime(2026, 1, 31, 12), "day": date(2026, 1, 31),  # noqa: DTZ001  a workbook has no zones
             "at": time(12), "took": "30:00:00", "code": "007", "done": True, "price": 1.0},
            {"id": 2, "when": None, "day": date(2026, 2, 1), "at": None, "took": None,
             "code": " x ", "done": False, "price": 2.5},
        ]  # fmt: skip

    def test_with_errors_have_no_value_and_the_run_says_so(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"One": [["a", "b"], [1, Fault("#DIV/0!")]]})

        found = extracted("t.xlsx")

        assert found.rows == [{"a": 1, "b": None}]
        assert found.notes == (
            "t.xlsx: 1 of its cells hold an error such as #DIV/0!; they have no value here.",
        )

    def test_that_are_merged_have_the_value_of_the_first(self, folder, extracted):
        write_workbook(
            folder / "t.xlsx", {"One": [["a", "b"], ["x", 1], [None, 2]]}, merged="A2:A3"
        )

        found = extracted("t.xlsx")

        assert [row["a"] for row in found.rows] == ["x", None]
        assert "1 groups of cells are merged" in found.notes[0]

    def test_beyond_the_header_are_refused_with_their_row(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"One": [["a"], [1], [2, None, "note"]]})

        with pytest.raises(RowError, match=r"t\.xlsx, row 3: a value stands beyond"):
            extracted("t.xlsx")

    def test_are_not_read_by_the_notation_of_texts(self, folder, extracted):
        rows = [["n", "d", "o"], [1.234, Number("46053", "date"), "31.1.2026"]]
        write_workbook(folder / "t.xlsx", {"One": rows})

        found = extracted(
            "t.xlsx", decimal_mark=",", thousands_mark=".", date_formats=["%d.%m.%Y"],
            types={"o": "DATE"},
        )  # fmt: skip

        day = date(2026, 1, 31)
        assert found.rows == [{"n": 1.234, "d": day, "o": day}]

    def test_of_another_type_are_refused_with_their_place(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"One": [["a"], [1], [None], ["x"]]})

        with pytest.raises(RowError, match="row 4, column 'a': the value is not a BIGINT"):
            extracted("t.xlsx", types={"a": "BIGINT"})


class TestSheets:
    def test_are_tables_of_their_own_unless_hidden(self, folder):
        write_workbook(
            folder / "book.xlsx",
            {"Orders": ORDERS, "Old": ORDERS, "Items": [["x"]]},
            hidden=["Old"],
        )
        write_workbook(folder / "single.xlsx", {"Sheet1": ORDERS})

        specs = files_connector().discover(FilesConfig(folder=folder), {})

        assert [(spec.name, spec.source_table, len(spec.columns)) for spec in specs] == [
            ("book_orders", "book.xlsx#Orders", 2),
            ("book_items", "book.xlsx#Items", 1),
            ("single", "single.xlsx", 2),
        ]

    def test_are_chosen_by_coordinates_or_settings(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"One": [["a"], [1]], "Two": [["a"], [2]]})

        assert extracted("t.xlsx").rows == [{"a": 1}]
        assert extracted("t.xlsx#Two").rows == [{"a": 2}]
        assert extracted("t.xlsx", sheet="Two").rows == [{"a": 2}]

    def test_of_several_workbooks_are_one_table(self, folder, extracted):
        (folder / "in").mkdir()
        write_workbook(folder / "in" / "1.xlsx", {"S": ORDERS})
        write_workbook(folder / "in" / "2.xlsx", {"S": [["ITEM", "n"], ["plum", 5]]})

        assert extracted("in").rows[1:] == [
            {"id": 2, "item": "pear", "n": None},
            {"id": None, "item": "plum", "n": 5},
        ]

    def test_of_many_workbooks_are_in_memory_one_at_a_time(self, folder, tmp_path):
        for number in range(3):
            write_workbook(folder / f"{number}.xlsx", {"S": ORDERS})
        files = [source_file(path, path.name) for path in sorted(folder.iterdir())]
        wanted = table("*.xlsx", file_name_column="file")
        in_memory = []

        with session(tmp_path) as connection:
            readers = readers_by_file(connection, files, wanted, scratch=tmp_path)
            for reader in readers:
                assert reader.rows(10).read_all().num_rows == 2
                gc.collect()
                in_memory.append(sum(isinstance(each, _Sheet) for each in gc.get_objects()))

        assert in_memory == [0, 0, 0]

    def test_may_begin_lower_and_end_earlier(self, folder, extracted):
        rows = [["Report"], [], *ORDERS, [None, None], ["Total", 2]]
        write_workbook(folder / "t.xlsx", {"S": rows})

        found = extracted("t.xlsx", skip_rows=2, skip_footer=1)

        assert found.rows == [{"id": 1, "item": "apple"}, {"id": 2, "item": "pear"}]

    def test_may_have_no_header(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS[1:]})

        found = extracted("t.xlsx", has_header=False)

        assert found.rows[0] == {"column_1": 1, "column_2": "apple"}

    def test_may_have_a_header_only(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS[:1]})

        found = extracted("t.xlsx", known=(ColumnSpec(name="id", type="BIGINT"),))

        assert (found.types, found.rows) == ({"id": "BIGINT", "item": "VARCHAR"}, [])

    def test_may_be_compressed(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS})
        (folder / "t.xlsx.gz").write_bytes(gzip.compress((folder / "t.xlsx").read_bytes()))

        assert len(extracted("t.xlsx.gz").rows) == 2

    @pytest.mark.parametrize(("sheet", "said"), [("No", "no sheet 'No'"), ("Empty", "is empty")])
    def test_that_are_not_there_are_refused(self, folder, extracted, sheet, said):
        write_workbook(folder / "t.xlsx", {"One": ORDERS, "Empty": []})

        with pytest.raises(WorkbookUnusableError, match=said):
            extracted("t.xlsx", sheet=sheet)


@pytest.mark.hostile(19)
class TestHostile:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b"id,item\n1,a\n", "no workbook"),
            (b"PK\x03\x04" + b"\0" * 200, "cannot be opened"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "cannot be opened"),
        ],
    )
    def test_files_are_refused(self, folder, extracted, content, said):
        (folder / "t.xlsx").write_bytes(content)

        with pytest.raises(WorkbookUnusableError, match=said):
            extracted("t.xlsx")

    def test_archives_that_are_no_workbook_are_refused(self, folder, extracted):
        with zipfile.ZipFile(folder / "t.xlsx", "w") as archive:
            archive.writestr("../../x", "no")

        with pytest.raises(WorkbookUnusableError, match="cannot be opened"):
            extracted("t.xlsx")

    def test_archives_that_are_encrypted_are_refused(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS})
        # The flags of an entry are behind its signature, in the file and in the list at its end.
        content = bytearray((folder / "t.xlsx").read_bytes())
        for found in re.finditer(rb"PK(\x03\x04..|\x01\x02....)", bytes(content), re.DOTALL):
            content[found.end()] |= 1
        (folder / "t.xlsx").write_bytes(content)

        with pytest.raises(WorkbookUnusableError, match="has a password"):
            extracted("t.xlsx")

    def test_a_cell_far_away_is_refused_before_it_takes_memory(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS})
        far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        _rewrite(folder / "t.xlsx", "xl/worksheets/sheet1.xml", b"</sheetData>", far)

        with pytest.raises(WorkbookTooLargeError, match="row 1,048,576 and column 16,384"):
            extracted("t.xlsx")

    def test_a_bomb_is_refused_while_it_unpacks(self, folder, extracted):
        write_workbook(folder / "t.xlsx", {"S": ORDERS})
        _rewrite(
            folder / "t.xlsx", "xl/worksheets/sheet1.xml", b"</sheetData>",
            b" " * 3_000_000 + b"</sheetData>",
        )  # fmt: skip
        assert (folder / "t.xlsx").stat().st_size < 10_000

        with pytest.raises(WorkbookTooLargeError, match="larger than 1 MB"):
            extracted("t.xlsx", max_workbook_mb=1)


def _rewrite(path, name, old, new) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in parts.items():
            archive.writestr(each, content.replace(old, new) if each == name else content)
