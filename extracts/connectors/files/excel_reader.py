"""Read sheets of workbooks: Excel's and OpenDocument's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from python_calamine import CalamineSheet

from extracts.connectors.files.cell_reader import CellReader
from extracts.connectors.files.cell_rows import CellRow
from extracts.connectors.files.cells import text_of
from extracts.connectors.files.fixed_types import spelled_once
from extracts.connectors.files.names import numbered, usable
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.workbook import WorkbookUnusableError, open_workbook

# Whole numbers up to here are exact: a workbook keeps all numbers as fractions.
_EXACT = 2**53


class ExcelReader(CellReader):
    """The rows of a sheet of each workbook. One workbook is in memory until its rows are read."""

    error = WorkbookUnusableError

    def _prepared(self, options: FilesTable) -> FilesTable:
        self._open: tuple[SourceFile, _Sheet] | None = None
        self._is_needed_again = True
        self._notes: dict[str, None] = {}
        self._spelled: dict[str, str] = {}
        return options

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about names and cells."""
        return tuple(self._notes)

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        self._is_needed_again = False
        return super().rows(batch_rows)

    def _declared(self) -> Sequence[str]:
        return spelled_once(name for file in self._files for name in self._sheet(file).names)

    def _all(self) -> Iterator[CellRow]:
        yield from super()._all()
        if not self._is_needed_again:
            self._open = None

    def _rows_of(self, file: SourceFile) -> Iterator[CellRow]:
        sheet = self._sheet(file)
        # Keys are matched without case, as the columns of other files are.
        keys = [self._key(name) for name in sheet.names]
        for number, cells in _without_last(sheet.rows(), self._options.skip_footer):
            if any(cell not in ("", None) for cell in cells[len(keys) :]):
                self.rejects.add(
                    file=file.name,
                    row=number,
                    reason="a value stands beyond the last column that has a name",
                    text=", ".join(map(str, cells)),
                )
                continue
            yield CellRow(file.name, number, dict(zip(keys, map(_value, cells), strict=False)))

    def _key(self, name: str) -> str:
        return self._spelled.setdefault(name.lower(), name)

    def _sheet(self, file: SourceFile) -> _Sheet:
        """Return the sheet of a file; the last one is kept, since it is needed again soon."""
        if self._open is None or self._open[0] != file:
            self._open = None
            sheet = self._opened(file)
            self._open = (file, sheet)
        return self._open[1]

    def _opened(self, file: SourceFile) -> _Sheet:
        options = self._options
        book = open_workbook(file, scratch=self._scratch, max_mb=options.max_workbook_mb)
        found = book.sheet(options.sheet)
        sheet = _Sheet(file.name, found, options)
        if sheet.note:
            self._notes[sheet.note] = None
        if book.faults:
            self._notes[
                f"{file.name}: {book.faults:,} of its cells hold an error such as #DIV/0!; "
                "they have no value here."
            ] = None
        if merged := len(found.merged_cell_ranges or ()):
            self._notes[
                f"{file.name}: {merged:,} groups of cells are merged; only the first of each "
                "group has its value."
            ] = None
        return sheet


def sheets_of(file: SourceFile, *, scratch: Path) -> list[str]:
    """Return the names of the sheets that a person sees.

    Raises:
        FileUnusableError: as :func:`~extracts.connectors.files.workbook.open_workbook` does.
    """
    limit = FilesTable.model_fields["max_workbook_mb"].default
    return open_workbook(file, scratch=scratch, max_mb=limit).visible


class _Sheet:
    """A sheet with the names of its columns."""

    def __init__(self, file: str, sheet: CalamineSheet, options: FilesTable) -> None:
        self._sheet = sheet
        self._skipped = options.skip_rows
        self._left = sheet.start[1] if sheet.start else 0
        self._header = 0
        first = next(self.rows(), None)
        if first is None:
            raise WorkbookUnusableError(
                f"The sheet {sheet.name!r} of {file} is empty.",
                hint="Set sheet in the settings of the table to one that has rows.",
            )
        number, cells = first
        if options.has_header:
            self._header = number
            texts = [text_of(_value(cell), kind="VARCHAR") or "" for cell in cells]
            while texts and not texts[-1].strip():
                texts.pop()
            found = usable(texts, file=file)
        else:
            found = numbered(len(cells))
        self.names, self.note = found.names, found.note

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the rows below the header with their numbers; blank ones do not count."""
        above = max(self._skipped, self._header)
        rows = islice(enumerate(self._sheet.iter_rows(), start=1), above, None)
        for number, cells in rows:
            kept = cells[self._left :]
            if any(cell != "" for cell in kept):
                yield number, kept


def _without_last(
    rows: Iterator[tuple[int, list[Any]]], count: int
) -> Iterator[tuple[int, list[Any]]]:
    held: deque[tuple[int, list[Any]]] = deque()
    for row in rows:
        held.append(row)
        if len(held) > count:
            yield held.popleft()


def _value(cell: Any) -> Any:
    """Return what a cell means: a whole number is one, and an empty cell has no value."""
    if cell == "" and isinstance(cell, str):
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return int(cell)
    return cell
