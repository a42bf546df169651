"""The reader for the files of a table, whatever their format is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import duckdb
import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from catalog.connectors import ColumnSpec, Rejected, TableRequest
from extracts.connectors.files.csv_reader import CsvReader
from extracts.connectors.files.excel_reader import ExcelReader
from extracts.connectors.files.formats import Format, split_sheet
from extracts.connectors.files.json_reader import JsonReader
from extracts.connectors.files.parquet_reader import ParquetReader
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable


class SetAside(Protocol):
    """Rows that could not be read."""

    def result(self) -> Rejected | None:
        """Return the finished file of them, ``None`` if every row could be read."""


class Reader(Protocol):
    """The rows of one table from its files, one file after the other.

    ``rejects`` has the rows that were set aside since :meth:`rows` was called last.
    """

    @property
    def rejects(self) -> SetAside:
        """The rows that were set aside."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the reading."""

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""

    def check(self) -> None:
        """Refuse damage that reading would not notice."""

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning."""

    def recover(self) -> bool:
        """Choose another way to read after one failed on the data; false if there is none."""

    def explain(self, error: Exception) -> InvalidInputError:
        """Say what is wrong with the files that reading failed on."""


def reader_of(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    *,
    scratch: Path,
    look_at: int | None = None,
) -> Reader:
    """Return the reader for ``files``, which are all of one kind.

    With ``look_at`` columns and types may be found in that many rows: enough for a preview.

    Raises:
        InvalidInputError: a file is not what it should be.
    """
    options = cast("FilesTable", table.options)
    _, sheet = split_sheet(table.source_table)
    if sheet and not options.sheet:
        options = options.model_copy(update={"sheet": sheet})
    kind = files[0].kind
    if kind is Format.PARQUET:
        return ParquetReader(connection, files, options=options, scratch=scratch)
    known = table.known_columns
    if kind in (Format.CSV, Format.TSV):
        return CsvReader(connection, files, options=options, known=known, scratch=scratch)
    maker = ExcelReader if kind is Format.EXCEL else JsonReader
    return maker(connection, files, options=options, known=known, scratch=scratch, look_at=look_at)
