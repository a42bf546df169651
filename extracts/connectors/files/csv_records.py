"""The records of a CSV file read with care: slower, and sure about what is wrong in which line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from extracts.connectors.files.errors import FileUnusableError, RowError
from extracts.connectors.files.lines import DAMAGE, MAX_LINE, Lines, LongLineError

# A value may be as long as its line.
csv.field_size_limit(MAX_LINE)

_UNCLOSED = "a quoted value is not closed, or text follows its closing quote"


class NotCsvError(FileUnusableError):
    """A file with the name of a CSV file is something else."""

    code = "csv_unusable"
    hint = "Replace the file by a CSV file, or give the table another file or format."


class CsvRowError(RowError):
    """A row of a CSV file does not fit the columns."""

    code = "csv_row_invalid"
    hint = (
        "Correct the file; check the delimiter in the settings of the table. To go on without such "
        "rows, choose `quarantine` for its bad rows there."
    )


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What the characters of a CSV file mean, and which of its lines are data.

    A head is odd where the header breaks its line or ends in a way of its own, or a line above it
    holds a quote.
    """

    delimiter: str
    quote: str = '"'
    escape: str | None = None
    comment: str | None = None
    skip_rows: int = 0
    skip_footer: int = 0
    has_header: bool = True
    has_odd_head: bool = False

    @property
    def _is_doubled(self) -> bool:
        return self.escape is None or self.escape == self.quote

    def of_python(self) -> dict[str, Any]:
        """Return the arguments that tell Python's own reader."""
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quote or None,
            "quoting": csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            "escapechar": None if self._is_doubled else self.escape,
            "doublequote": self._is_doubled,
            "strict": True,
        }


class Record(NamedTuple):
    """One record with the number of its first line; with a ``problem`` it cannot be used."""

    number: int
    values: list[str]
    lines: list[str]
    problem: str = ""
    place: int = -1


def records(lines: Lines, signs: Signs, *, width: int, encoding: str) -> Iterator[Record]:
    """Yield the records below the header, those with a problem too.

    The ``place`` of a problem is the column that has it, if it is one.
    """
    for _ in range(signs.skip_rows):
        next(lines, None)
    found = _data(lines, signs)
    if signs.has_header:
        next(found, None)
    for record in _without_last(found, signs.skip_footer):
        if record.problem:
            yield record
        elif len(record.values) != width:
            checked = _of_other_width(record, width)
            if checked is not None:
                yield checked
        elif "\0" in (text := "".join(record.lines)):
            yield record._replace(problem="the row holds a NUL byte")
        elif not text.isascii() and DAMAGE in text:
            yield _damaged(record, encoding)
        else:
            yield record


def _data(lines: Lines, signs: Signs) -> Iterator[Record]:
    """Yield what is no comment, one after the other."""
    source = lines if signs.comment is None else _Uncommented(lines, signs.comment)
    reader = csv.reader(source, **signs.of_python())
    while True:
        lines.begin()
        try:
            values = next(reader)
        except StopIteration:
            return
        except LongLineError:
            problem = f"the row is longer than {MAX_LINE} bytes"
            yield Record(lines.number, [], lines.record[-1:], problem)
        except csv.Error:
            # What follows may be well formed: only the first line is given up.
            lines.take_back()
            yield Record(lines.number, [], lines.record[:1], _UNCLOSED)
        else:
            yield Record(lines.number - len(lines.record) + 1, values, lines.record)


class _Uncommented:
    """The lines that do not begin with a sign; within a quoted value no line is a comment."""

    def __init__(self, lines: Lines, sign: str) -> None:
        self._lines = lines
        self._sign = sign

    def __iter__(self) -> _Uncommented:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        while len(self._lines.record) == 1 and line.startswith(self._sign):
            self._lines.begin()
            line = next(self._lines)
        return line


def _without_last(records: Iterator[Record], count: int) -> Iterator[Record]:
    if count == 0:
        yield from records
        return
    held: deque[Record] = deque()
    for record in records:
        if record.values or record.problem:
            held.append(record)
        if len(held) > count:
            yield held.popleft()


def _of_other_width(record: Record, width: int) -> Record | None:
    if not record.values:  # a blank line: the only value of a row, or nothing at all
        return record._replace(values=[""]) if width == 1 else None
    number = "fewer" if len(record.values) < width else "more"
    return record._replace(problem=f"there are {number} values than columns")


def _damaged(record: Record, encoding: str) -> Record:
    place = next(place for place, value in enumerate(record.values) if DAMAGE in value)
    return record._replace(problem=f"the text is not in {encoding}", place=place)
