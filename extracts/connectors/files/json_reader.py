"""Read JSON: a list of objects, a document that holds one, or an object in each line."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.connectors import ColumnSpec
from extracts.connectors.files.cell_rows import CellRow, CellRows
from extracts.connectors.files.formats import Format
from extracts.connectors.files.json_records import (
    NotJsonError,
    Record,
    document_records,
    line_records,
)
from extracts.connectors.files.lines import text_lines
from extracts.connectors.files.listing import SourceFile
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.settings import FilesTable


class JsonReader:
    """The rows of one table from its files of JSON, one file after the other.

    Each key of the objects is a column. Objects and lists inside of them are columns of JSON.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[SourceFile],
        *,
        options: FilesTable,
        known: Sequence[ColumnSpec],
        scratch: Path,
        look_at: int | None = None,
    ) -> None:
        """Look at all rows, or at the first ``look_at``, for columns and types.

        Raises:
            NotJsonError: a file is no JSON.
            RowError: a row cannot be used.
        """
        self._files = files
        # Null is written as such: no text stands for it unless the settings say so.
        is_default = "null_strings" not in options.model_fields_set
        self._options = options.model_copy(update={"null_strings": ()}) if is_default else options
        self.rejects = Rejects(scratch, options)
        self._rows = CellRows(
            self._all,
            connection=connection,
            options=self._options,
            known=known,
            rejects=self.rejects,
            look_at=look_at,
        )
        self.notes = (self._rows.note,) if self._rows.note else ()

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""
        return self._rows.columns

    def check(self) -> None:
        """Everything is checked while it is read."""

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        return self._rows.rows()

    def recover(self) -> bool:
        """There is one way only."""
        return False

    def explain(self, error: Exception) -> NotJsonError:
        """Say what is wrong with the files that reading failed on."""
        reason = str(error).partition("\n")[0][:200]
        return NotJsonError(f"{self._files[0].name} cannot be read: {reason}")

    def _all(self) -> Iterator[CellRow]:
        self.rejects.restart()
        for file in self._files:
            for record in self._records(file):
                if record.problem:
                    self.rejects.add(
                        file=file.name, row=record.number, reason=record.problem, text=record.text
                    )
                else:
                    yield CellRow(file.name, record.number, record.values, record.size)

    def _records(self, file: SourceFile) -> Iterator[Record]:
        encoding = self._options.encoding
        with text_lines(file, encoding=encoding, error=NotJsonError) as lines:
            if file.kind is Format.NDJSON:
                yield from line_records(lines)
            else:
                path = self._options.records_path
                text: io.TextIOBase = lines.text
                yield from document_records(text, name=file.name, path=path)
