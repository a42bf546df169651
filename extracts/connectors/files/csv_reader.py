"""Read CSV files: fast through DuckDB, and with care where that is not enough.

DuckDB reads what is plain: UTF-8, every row well formed. Whatever else there is (another encoding,
mixed line ends, rows to set aside, an error to be explained) takes the second way, which reads
record by record.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.connectors import ColumnSpec
from extracts.connectors.files.csv_dialect import look_at
from extracts.connectors.files.csv_query import text_query, typed_query
from extracts.connectors.files.csv_records import CsvRowError, NotCsvError
from extracts.connectors.files.csv_rows import BATCH_LETTERS, CarefulRows
from extracts.connectors.files.csv_sheet import Sheet
from extracts.connectors.files.fixed_types import fixed_types, spelled_once
from extracts.connectors.files.lines import encoding_of
from extracts.connectors.files.notation import Notation
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.session import is_about_data, linked, suit_width
from extracts.connectors.files.sifting import Sifter
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.text_types import ColumnType, guess_types

_SAMPLE_ROWS = 20_480
_SAMPLE_CELLS = 1_000_000
_SAMPLE_FILES = 20
_SAMPLE = "agnes_sample"


class CsvReader:
    """The rows of one table from its CSV files, one file after the other.

    Columns are matched by name; one that a file does not have is null there.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[SourceFile],
        *,
        options: FilesTable,
        known: Sequence[ColumnSpec],
        scratch: Path,
    ) -> None:
        """Look at the beginning of each file.

        Raises:
            NotCsvError: a file is no CSV.
            TableSettingsError: the settings name a column or a type that does not exist.
            CsvRowError: a row of the sample cannot be read.
        """
        self._connection = connection
        self._options = options
        self._notation = Notation.of(options)
        self.rejects = Rejects(scratch, options, error=CsvRowError)
        self._careful = CarefulRows(options, self.rejects)
        links = linked(files, scratch)
        looks = [look_at(file, options) for file in files]
        self.notes = tuple(names.note for _, names in looks if names.note)
        self._sheets = [
            Sheet(
                file=file,
                link=link,
                encoding=encoding_of(file, given=options.encoding, error=NotCsvError),
                signs=signs,
                names=names.names,
            )
            for file, link, (signs, names) in zip(files, links, looks, strict=True)
        ]
        self._is_careful = any(
            not sheet.is_plain or sheet.begins_with_trouble() for sheet in self._sheets
        )
        self._types = self._decided_types(known)

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""
        return tuple(ColumnSpec(name=name, type=each.kind) for name, each in self._types.items())

    def check(self) -> None:
        """Look for what DuckDB would pass over, and for lines that it has too many of at once.

        It takes a file that was cut off for a shorter one, and a NUL for a letter.
        """
        if self._is_careful:
            return
        # Each file is read to its end, whatever was found in those before.
        for sheet in self._sheets:
            self._is_careful = sheet.holds_trouble() or self._is_careful

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        self.rejects.restart()
        if not self._is_careful:
            query = typed_query(self._sheets, self._types, self._options.null_strings)
            return self._connection.execute(query).to_arrow_reader(batch_rows)
        sifter = Sifter(self._connection, self._types, self.rejects)
        found = (
            sifter.typed(batch) for batch in self._careful.of_table(self._sheets, list(self._types))
        )
        batches = (batch for table in found for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(sifter.schema, batches)

    def recover(self) -> bool:
        """Read with care from now on; false if that is what has just failed."""
        was_careful, self._is_careful = self._is_careful, True
        # What the first way held is not needed any more: one way's memory has to do.
        gc.collect()
        pa.default_memory_pool().release_unused()
        return not was_careful

    def explain(self, error: Exception) -> CsvRowError:
        """Say what there is to say where reading with care found no row to blame."""
        reason = str(error).partition("\n")[0][:200]
        names = ", ".join(sheet.file.name for sheet in self._sheets[:3])
        return CsvRowError(f"{names} cannot be read as CSV: {reason}")

    def _decided_types(self, known: Sequence[ColumnSpec]) -> Mapping[str, ColumnType]:
        """Return the type of each column: from the settings, else as known, else guessed."""
        names = spelled_once(name for sheet in self._sheets for name in sheet.names)
        suit_width(self._connection, len(names))
        fixed = fixed_types(names, options=self._options, known=known, notation=self._notation)
        guessed = {} if len(fixed) == len(names) else self._guessed(names)
        return {name: fixed.get(name) or guessed[name] for name in names}

    def _guessed(self, names: Sequence[str]) -> Mapping[str, ColumnType]:
        sheets = self._sheets[:_SAMPLE_FILES]
        rows = max(100, min(_SAMPLE_ROWS, _SAMPLE_CELLS // len(names)) // len(sheets))
        if not self._is_careful:
            samples = [text_query([sheet], self._options.null_strings) for sheet in sheets]
            try:
                return guess_types(
                    self._connection, samples, names, rows=rows, notation=self._notation
                )
            except duckdb.Error as error:
                if not is_about_data(error):
                    raise
        texts = (self._sample(sheet, rows) for sheet in sheets)
        return guess_types(self._connection, texts, names, rows=rows, notation=self._notation)

    def _sample(self, sheet: Sheet, rows: int) -> str:
        """Take the first rows with care; return the query for them."""
        found: list[pa.Table] = []
        for batch in self._careful.of_file(sheet):
            found.append(pa.table(dict(zip(sheet.names, batch.columns, strict=True))))
            count = sum(table.num_rows for table in found)
            if count >= rows or sum(table.nbytes for table in found) > BATCH_LETTERS:
                break
        empty = pa.table({name: pa.array([], pa.string()) for name in sheet.names})
        self._connection.register(_SAMPLE, pa.concat_tables([empty, *found]))
        return f"SELECT * FROM {_SAMPLE}"  # noqa: S608  a constant
