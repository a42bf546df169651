"""The first rows of a table, and what its files say of its columns."""

import datetime
import decimal

import pyarrow as pa
import pytest
from django.urls import reverse

from catalog.connectors import ColumnSpec
from extracts.services import previewing
from tests.factories import TableFactory, parquet_bytes, publish, stored_file, stored_part

ROWS = pa.table(
    {
        "id": pa.array(range(70), pa.int64()),
        "name": pa.array([None, "<b>bold</b>", "x" * 500] + ["y"] * 67),
        "price": pa.array([decimal.Decimal("1.50")] * 70, pa.decimal128(12, 2)),
        "day": pa.array([datetime.date(2026, 1, 1)] * 70),
        "raw": pa.array([b"\x00\xff"] * 70),
        "tags": pa.array([["a", None]] * 70),
        "a.b": pa.array([1] * 70),
    }
)


@pytest.fixture
def table(layout, db):
    found = TableFactory(name="orders")
    columns = [ColumnSpec(name=name, type="VARCHAR") for name in ROWS.column_names]
    publish(found, stored_file(layout, parquet_bytes(ROWS), rows=70), columns=columns)
    return found


@pytest.fixture
def pages(client, admin):
    client.force_login(admin)
    return client


def preview_of(pages, table) -> str:
    url = reverse("admin:catalog_table_part", args=[table.pk, "preview"])
    return pages.get(url).content.decode()


class TestFirstRows:
    def test_are_fifty_with_each_value_as_a_short_text(self, table):
        found = previewing.first_rows(table.current_version)

        assert len(found.rows) == 50
        assert found.columns == ROWS.column_names
        assert found.rows[0] == [
            "0", None, "1.50", "2026-01-01", "0x00ff", '["a", null]', "1",
        ]  # fmt: skip
        assert len(found.rows[2][1]) == previewing.LONGEST

    def test_come_from_several_parts(self, layout, db):
        table = TableFactory()
        parts = [
            stored_file(layout, parquet_bytes(pa.table({"id": [number]})), key=str(number))
            for number in range(3)
        ]
        publish(table, *parts)

        found = previewing.first_rows(table.current_version)

        assert [row[0] for row in found.rows] == ["0", "1", "2"]

    def test_of_a_wide_table_are_its_first_columns(self, layout, db):
        table = TableFactory()
        wide = pa.table({f"c{number}": [number] for number in range(300)})
        publish(table, stored_file(layout, parquet_bytes(wide)))

        found = previewing.first_rows(table.current_version)

        assert (len(found.columns), found.total_columns) == (previewing.COLUMNS, 300)


@pytest.fixture
def odd_times(layout, db):
    """A table of times for which Python has no type."""
    days = pa.array([5_000_000, 0, None], pa.date32())
    moments = pa.array([1, 2, None], pa.timestamp("ns"))
    inner = pa.array([[1], [2], None], pa.list_(pa.timestamp("ns")))
    content = parquet_bytes(pa.table({"day": days, "moment": moments, "inner": inner}))
    table = TableFactory()
    columns = [ColumnSpec(name=name, type="VARCHAR") for name in ("day", "moment", "inner")]
    publish(table, stored_file(layout, content, rows=3), columns=columns)
    return table


class TestTimesThatPythonHasNot:
    def test_are_in_the_first_rows(self, odd_times):
        assert previewing.first_rows(odd_times.current_version).rows == [
            ["15659-07-15", "1970-01-01 00:00:00.000000001", "(cannot be shown)"],
            ["1970-01-01", "1970-01-01 00:00:00.000000002", "(cannot be shown)"],
            [None, None, None],
        ]

    def test_are_bounds(self, odd_times):
        found = previewing.figures(odd_times)

        assert (found["day"].low, found["day"].high) == ("1970-01-01", "15659-07-15")
        assert found["moment"].high == "1970-01-01 00:00:00.000000002"
        assert found["moment"].nulls == 1


class TestFigures:
    def test_tell_what_is_missing_and_the_bounds(self, table):
        found = previewing.figures(table)

        assert (found["id"].nulls, found["id"].low, found["id"].high) == (0, "0", "69")
        assert found["name"].nulls == 1
        assert found["price"].low == "1.50"
        assert "tags" not in found

    def test_tell_no_bounds_where_those_of_some_rows_are_unknown(self, layout, db):
        table = TableFactory()
        rows = pa.table({"text": ["a", "b", "z" * 10_000], "n": [1, 2, None]})
        publish(table, stored_file(layout, parquet_bytes(rows, row_group_size=1)))

        found = previewing.figures(table)

        assert (found["text"].low, found["text"].high) == (None, None)
        assert (found["n"].low, found["n"].high) == ("1", "2")

    def test_are_asked_for_once(self, table, layout):
        first = previewing.figures(table)
        for file in layout.store.rglob("*.parquet"):
            file.unlink()

        assert previewing.figures(table) == first


class TestPage:
    def test_shows_the_rows_and_escapes_them(self, pages, table):
        page = preview_of(pages, table)

        assert "&lt;b&gt;bold&lt;/b&gt;" in page
        assert "50 rows of 70" in page

    def test_says_what_to_do_about_a_table_without_data(self, pages):
        assert "“Extract now” brings the first version" in preview_of(pages, TableFactory())

    def test_says_when_a_file_is_missing(self, pages):
        table = TableFactory()
        publish(table, stored_part(77))

        assert "is not in the store" in preview_of(pages, table)

    def test_survives_a_file_that_is_none(self, pages, layout):
        table = TableFactory()
        publish(table, stored_file(layout, b"PAR1 this is no Parquet PAR1"))

        assert "ag-bad" in preview_of(pages, table)
