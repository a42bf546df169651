"""Read the files of a table one by one, all with the columns of the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from catalog.connectors import ColumnSpec, Rejected, TableRequest
from extracts.connectors.files.errors import TableSettingsError, TooManyBadRowsError
from extracts.connectors.files.reading import Reader, SetAside, reader_of
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.writing import with_care
from extracts.engine.combining import fitted


class OneFile:
    """A reader of one file whose rows have given columns, and the name of the file if wanted.

    ``schema`` is that of the whole table; what the file does not have is null. The file is looked
    at when it is its turn, since a workbook is in memory from then on until its rows are read.
    """

    def __init__(
        self, make: Callable[[], Reader], file: SourceFile, schema: pa.Schema, column: str
    ) -> None:
        self._make = make
        self._file = file
        self.schema = schema
        self._column = column

    @cached_property
    def _reader(self) -> Reader:
        return self._make()

    @property
    def rejects(self) -> SetAside:
        """The rows that were set aside."""
        return self._reader.rejects

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the reading."""
        return self._reader.notes

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the whole table."""
        return tuple(ColumnSpec(name=name, type="") for name in self.schema.names)

    def check(self) -> None:
        """Refuse damage that reading would not notice."""
        self._reader.check()

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning."""
        return pa.RecordBatchReader.from_batches(
            self.schema, self._fitted(self._reader.rows(batch_rows))
        )

    def recover(self) -> bool:
        """Choose another way to read after one failed on the data; false if there is none."""
        return self._reader.recover()

    def explain(self, error: Exception) -> InvalidInputError:
        """Say what is wrong with the file that reading failed on."""
        return self._reader.explain(error)

    def _fitted(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            if self._column:
                names = pa.array([self._file.name] * batch.num_rows, pa.string())
                batch = batch.append_column(self._column, cast("Any", names))
            yield fitted(batch, self.schema)


class FilesInTurn:
    """The readers of several files as one, the next beginning where one ends."""

    def __init__(self, readers: Sequence[OneFile], options: FilesTable, scratch: Path) -> None:
        self._readers = readers
        self._current = readers[0]
        self._is_checked = False
        self.rejects = JoinedRejects(readers, options, scratch)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the reading."""
        return tuple(note for reader in self._readers for note in reader.notes)

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table."""
        return self._readers[0].columns

    def check(self) -> None:
        """Let each file be checked when it is its turn."""
        self._is_checked = True

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        return pa.RecordBatchReader.from_batches(self._current.schema, self._all(batch_rows))

    def recover(self) -> bool:
        """Choose another way to read all files: each failure has everything read again."""
        if not self._current.recover():
            return False
        for reader in self._readers:
            reader.recover()
        return True

    def explain(self, error: Exception) -> InvalidInputError:
        """Say what is wrong with the file that reading failed on."""
        return self._current.explain(error)

    def _all(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        for reader in self._readers:
            self._current = reader
            if self._is_checked:
                reader.check()
            yield from reader.rows(batch_rows)


class JoinedRejects:
    """The rows of several readers that were set aside, as one file."""

    def __init__(self, readers: Sequence[OneFile], options: FilesTable, scratch: Path) -> None:
        self._readers = readers
        self._limit = options.max_bad_rows
        self._path = scratch / "rejected.ndjson"

    def result(self) -> Rejected | None:
        """Return the finished file, ``None`` if every row could be read.

        Raises:
            TooManyBadRowsError: they are more than the settings of the table allow.
        """
        found = [each for reader in self._readers if (each := reader.rejects.result())]
        rows = sum(each.rows for each in found)
        if rows > self._limit:
            raise TooManyBadRowsError(f"{rows:,} rows cannot be read, {self._limit:,} may be.")
        if not found:
            return None
        with self._path.open("wb") as target:
            for each in found:
                target.write(each.path.read_bytes())
        return Rejected(path=self._path, rows=rows)


def readers_by_file(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    *,
    scratch: Path,
    schema: pa.Schema | None = None,
) -> list[OneFile]:
    """Return a reader for each file, all with the columns of ``schema`` or of all files together.

    Raises:
        InvalidInputError: a file is not what it should be.
        TableSettingsError: the files have a column of the name that theirs is to have.
    """
    column = cast("FilesTable", table.options).file_name_column
    if schema is None:
        schema = whole_schema(connection, files, table, scratch=scratch)
    kinds = {name.lower(): kind for name, kind in _types(connection, schema).items()}
    known = tuple(
        ColumnSpec(name=name, type=kinds[name.lower()]) for name in schema.names if name != column
    )
    typed = dataclasses.replace(table, known_columns=known)
    readers = []
    for number, file in enumerate(files):
        own = scratch / "by-file" / f"{number:06}"
        own.mkdir(parents=True, exist_ok=True)
        make = partial(reader_of, connection, [file], typed, scratch=own)
        readers.append(OneFile(make, file, schema, column))
    return readers


def whole_schema(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    *,
    scratch: Path,
) -> pa.Schema:
    """Return the columns of a table of these files, the name of the file among them if wanted.

    Raises:
        InvalidInputError: a file is not what it should be.
        TableSettingsError: the files have a column of that name themselves.
    """
    column = cast("FilesTable", table.options).file_name_column
    known = tuple(each for each in table.known_columns if each.name != column)
    asked = dataclasses.replace(table, known_columns=known)
    reader = reader_of(connection, files, asked, scratch=scratch)
    schema = with_care(reader, lambda: reader.rows(2048).schema)
    if not column:
        return schema
    if column.lower() in (name.lower() for name in schema.names):
        raise TableSettingsError(
            f"The files have a column {column!r} themselves.",
            hint="Give file_name_column another name in the settings of the table.",
        )
    return schema.append(pa.field(column, pa.string()))


def _types(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    relation = connection.from_arrow(schema.empty_table())
    return dict(zip(relation.columns, map(str, relation.types), strict=True))
