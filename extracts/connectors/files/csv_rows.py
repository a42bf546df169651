"""The rows of CSV files read with care, record by record, as batches of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from extracts.connectors.files.csv_records import NotCsvError, Record, records
from extracts.connectors.files.csv_sheet import Sheet
from extracts.connectors.files.lines import text_lines
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.sifting import TextBatch, without
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.session import batch_rows

# Letters that are in memory at once: fewer rows of long ones.
BATCH_LETTERS = 2_000_000
_BATCH_ROWS = 8_192


class CarefulRows:
    """Well-formed rows as text; the others go to where bad rows go."""

    def __init__(self, options: FilesTable, rejects: Rejects) -> None:
        self._options = options
        self._rejects = rejects

    def of_table(self, sheets: Sequence[Sheet], names: Sequence[str]) -> Iterator[TextBatch]:
        """Yield the rows of all files with the columns ``names``, null where a file has none."""
        for sheet in sheets:
            own = {name.lower(): place for place, name in enumerate(sheet.names)}
            places = [own.get(name.lower()) for name in names]
            for batch in self.of_file(sheet):
                missing = pa.nulls(len(batch.numbers), pa.string())
                columns = [missing if each is None else batch.columns[each] for each in places]
                yield TextBatch(file=batch.file, numbers=batch.numbers, columns=columns)

    def of_file(self, sheet: Sheet) -> Iterator[TextBatch]:
        """Yield the rows of a file with its own columns."""
        rows = min(_BATCH_ROWS, batch_rows(len(sheet.names)))
        encoding = self._options.encoding or "UTF-8"
        with text_lines(sheet.file, encoding=sheet.encoding, error=NotCsvError) as lines:
            found = records(lines, sheet.signs, width=len(sheet.names), encoding=encoding)
            good = (record for record in found if self._is_good(sheet, record))
            while some := _taken(good, rows):
                yield TextBatch(
                    file=sheet.file.name,
                    numbers=[record.number for record in some],
                    columns=self._columns([record.values for record in some]),
                )

    def _columns(self, rows: Sequence[Sequence[str]]) -> list[pa.Array[Any]]:
        columns = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
        return [without(column, self._options.null_strings) for column in columns]

    def _is_good(self, sheet: Sheet, record: Record) -> bool:
        if not record.problem:
            return True
        self._rejects.add(
            file=sheet.file.name,
            row=record.number,
            column=sheet.names[record.place] if record.place >= 0 else "",
            reason=record.problem,
            text="".join(record.lines).rstrip("\r\n"),
        )
        return False


def _taken(records: Iterator[Record], rows: int) -> list[Record]:
    """Take the next records, fewer of long ones."""
    taken: list[Record] = []
    letters = 0
    for record in islice(records, rows):
        taken.append(record)
        letters += sum(map(len, record.lines))
        if letters > BATCH_LETTERS:
            break
    return taken
