"""What Python's csv module writes in any dialect is read as it was meant."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = {
    "id": "BIGINT", "amount": "DECIMAL(18,3)", "day": "DATE", "at": "TIMESTAMP", "note": "VARCHAR",
}  # fmt: skip
_ENDINGS = {"": "csv", "gzip": "csv.gz", "zstd": "csv.zst"}
bounded = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    delimiter: str
    quote: str
    escape: str | None
    quoting: int
    end: str
    encoding: str
    null: str
    decimal: str
    thousands: str
    date_format: str
    time_format: str
    lines_above: int
    lines_below: int
    compression: str

    def write(self, path: Path, rows: list[tuple[Any, ...]]) -> None:
        """Write rows below a header."""
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape,
            doublequote=self.escape is None, quoting=self.quoting, lineterminator=self.end,
        )  # fmt: skip
        text.write(f"Sales of the year{self.end}" * self.lines_above)
        writer.writerow(TYPES)
        for row in rows:
            writer.writerow([self.null if value is None else self._told(value) for value in row])
        for _ in range(self.lines_below):
            writer.writerow(["Total", *self.null * 4][: len(TYPES)])
        with (
            pa.CompressedOutputStream(str(path), self.compression or None)
            if (self.compression)
            else path.open("wb") as file
        ):
            file.write(text.getvalue().encode(self.encoding))

    def _told(self, value: Any) -> str:
        if isinstance(value, datetime):
            return value.strftime(self.time_format)
        if isinstance(value, date):
            return value.strftime(self.date_format)
        if isinstance(value, Decimal):
            marks = str.maketrans(",.", f"{self.thousands or '_'}{self.decimal}")
            return f"{value:,.3f}".translate(marks).replace("_", "")
        return str(value)

    @property
    def options(self) -> dict[str, Any]:
        """What the settings of a table say of it."""
        return {
            "delimiter": self.delimiter, "quote": self.quote, "escape": self.escape,
            "encoding": self.encoding, "null_strings": [self.null], "decimal_mark": self.decimal,
            "thousands_mark": self.thousands, "date_formats": [self.date_format],
            "timestamp_formats": [self.time_format], "skip_rows": self.lines_above,
            "skip_footer": self.lines_below,
        }  # fmt: skip


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    decimal = draw(st.sampled_from(".,"))
    day = draw(st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d"]))
    clock = draw(st.sampled_from(["%H:%M:%S", "%H.%M.%S", "%I:%M:%S %p"]))
    return Dialect(
        delimiter=draw(st.sampled_from(",;\t|^")),
        quote=draw(st.sampled_from("\"'")),
        escape=draw(st.sampled_from([None, "\\"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        end=draw(st.sampled_from(["\n", "\r\n"])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1250"])),
        null=draw(st.sampled_from(["", "NA", "(none)"])),
        decimal=decimal,
        thousands=draw(st.sampled_from([mark for mark in ["", ",", ".", " "] if mark != decimal])),
        date_format=day,
        time_format=f"{day} {clock}",
        lines_above=draw(st.integers(0, 3)),
        lines_below=draw(st.integers(0, 2)),
        compression=draw(st.sampled_from(list(_ENDINGS))),
    )


def rows_of(dialect: Dialect) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    letters = st.characters(
        codec=dialect.encoding.replace("-sig", ""), exclude_categories=["Cs"],
        exclude_characters="\0\ufeff",
    )  # fmt: skip
    texts = st.text(letters, max_size=8).filter(lambda text: text != dialect.null)
    moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 (as in a file)
    amounts = st.decimals(-(10**9), 10**9, places=3).map(abs) | st.decimals(0, 10, places=3)
    row = st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        amounts | st.none(),
        st.dates(date(1900, 1, 1), date(2200, 1, 1)) | st.none(),
        moments.map(lambda moment: moment.replace(microsecond=0, fold=0)) | st.none(),
        texts | st.none(),
    )
    return st.lists(row, max_size=5)


class TestAnyDialect:
    @bounded
    @given(st.data())
    def test_that_the_settings_name_is_read_as_it_was_meant(self, folder, extracted, data):
        dialect = data.draw(dialects())
        rows = data.draw(rows_of(dialect))
        name = f"t.{_ENDINGS[dialect.compression]}"
        dialect.write(folder / name, rows)

        found = extracted(name, types=TYPES, **dialect.options)

        assert found.types == TYPES
        assert sorted(map(repr, (tuple(row.values()) for row in found.rows))) == sorted(
            map(repr, rows)
        )


class TestUnnamedDialect:
    @bounded
    @given(
        rows=st.lists(
            st.tuples(
                st.integers(-(2**63), 2**63 - 1),
                st.floats(-1e9, 1e9).filter(lambda number: "e" not in repr(number)),
                st.dates(date(1900, 1, 1), date(2200, 1, 1)),
                st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=8)
                .map("x{}".format),
            ),
            min_size=1, max_size=5,
        ),
        gaps=st.sets(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=4),
        delimiter=st.sampled_from(",;\t|"),
        end=st.sampled_from(["\n", "\r\n"]),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    )  # fmt: skip
    def test_is_found_where_it_is_plain(
        self, folder, extracted, rows, gaps, delimiter, end, encoding
    ):
        rows = [
            tuple(None if (at, place) in gaps else value for place, value in enumerate(row))
            for at, row in enumerate(rows)
        ]
        rows = [row for row in rows if any(value is not None for value in row)]
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
        writer.writerows([["id", "share", "day", "note"], *rows])
        (folder / "t.csv").write_bytes(text.getvalue().encode(encoding))

        found = extracted("t.csv")

        assert list(found.types.values()) == ["BIGINT", "DOUBLE", "DATE", "VARCHAR"]
        assert sorted(map(repr, (tuple(row.values()) for row in found.rows))) == sorted(
            map(repr, rows)
        )
