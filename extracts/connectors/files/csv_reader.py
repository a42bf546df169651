"""Read CSV files: fast through DuckDB, and with care where that is not enough.

DuckDB reads what is plain: UTF-8, every row well formed. Whatever else there is (another encoding,
mixed line ends, rows to set aside, an error to be explained) takes the second way, which reads
record by record.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from agnes_site.core.sql import quote_identifier, quote_literal, quote_literals
from catalog.connectors import ColumnSpec
from extracts.connectors.files.csv_dialect import look_at
from extracts.connectors.files.csv_records import CsvRowError, NotCsvError, Record, Signs, records
from extracts.connectors.files.fixed_types import fixed_types, spelled_once
from extracts.connectors.files.lines import MAX_LINE, encoding_of, text_lines
from extracts.connectors.files.listing import SourceFile
from extracts.connectors.files.notation import Notation
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.session import batch_rows, is_about_data, linked, suit_width
from extracts.connectors.files.settings import FilesTable
from extracts.connectors.files.sifting import Sifter, TextBatch, without
from extracts.connectors.files.streams import CHUNK_BYTES, opened
from extracts.connectors.files.text_types import ColumnType, guess_types

_SAMPLE_ROWS = 20_480
_SAMPLE_CELLS = 1_000_000
_SAMPLE_FILES = 20
_BUFFER_BYTES = 2 * MAX_LINE
_SAMPLE = "agnes_sample"

# A MB of text with fewer lines has long ones: DuckDB has thousands of them in memory at once.
_FEW_LINES = 32
_BATCH_LETTERS = 2_000_000
_BATCH_ROWS = 8_192


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """One file with its own columns and signs."""

    file: SourceFile
    link: Path
    encoding: str
    signs: Signs
    names: tuple[str, ...]


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
        links = linked(files, scratch)
        looks = [look_at(file, options) for file in files]
        self.notes = tuple(names.note for _, names in looks if names.note)
        self._sheets = [
            _Sheet(
                file=file,
                link=link,
                encoding=encoding_of(file, given=options.encoding, error=NotCsvError),
                signs=signs,
                names=names.names,
            )
            for file, link, (signs, names) in zip(files, links, looks, strict=True)
        ]
        self._is_careful = any(not _is_plain(sheet) or _is_hard(sheet) for sheet in self._sheets)
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
        for sheet in self._sheets:
            with opened(sheet.file, error=NotCsvError) as stream:
                while piece := stream.read(CHUNK_BYTES):
                    self._is_careful = self._is_careful or _is_trouble(piece)

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        self.rejects.restart()
        if not self._is_careful:
            return self._connection.execute(self._query()).to_arrow_reader(batch_rows)
        sifter = Sifter(self._connection, self._types, self.rejects)
        found = (sifter.typed(batch) for batch in self._text_batches())
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

    def _query(self) -> str:
        columns = ", ".join(
            f"{kind.cast(name)} AS {quote_identifier(name)}" for name, kind in self._types.items()
        )
        return f"SELECT {columns} FROM ({self._text(self._sheets)})"  # noqa: S608  quoted

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
            samples = [self._text([sheet]) for sheet in sheets]
            try:
                return guess_types(
                    self._connection, samples, names, rows=rows, notation=self._notation
                )
            except duckdb.Error as error:
                if not is_about_data(error):
                    raise
        texts = (self._sample(sheet, rows) for sheet in sheets)
        return guess_types(self._connection, texts, names, rows=rows, notation=self._notation)

    def _sample(self, sheet: _Sheet, rows: int) -> str:
        """Take the first rows with care; return the query for them."""
        everything = dict.fromkeys(sheet.names, ColumnType(kind="VARCHAR"))
        self._types = everything
        found: list[pa.Table] = []
        for batch in self._text_of(sheet):
            found.append(pa.table(dict(zip(sheet.names, batch.columns, strict=True))))
            count = sum(table.num_rows for table in found)
            if count >= rows or sum(table.nbytes for table in found) > _BATCH_LETTERS:
                break
        empty = pa.table({name: pa.array([], pa.string()) for name in sheet.names})
        self._connection.register(_SAMPLE, pa.concat_tables([empty, *found]))
        return f"SELECT * FROM {_SAMPLE}"  # noqa: S608  a constant

    def _text(self, sheets: Sequence[_Sheet]) -> str:
        """Return the query for all rows of some files as text."""
        groups = groupby(sheets, key=lambda sheet: (sheet.signs, sheet.names))
        return " UNION ALL BY NAME ".join(self._scan(list(group)) for _, group in groups)

    def _scan(self, sheets: Sequence[_Sheet]) -> str:
        """Return the query for files that have the same columns and signs."""
        signs = sheets[0].signs
        columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in sheets[0].names)
        quote = quote_literal(signs.quote)
        options = (
            f"auto_detect = false, header = {str(signs.has_header).lower()}, "
            f"skip = {signs.skip_rows}, delim = {quote_literal(signs.delimiter)}, "
            f"quote = {quote}, escape = {quote}, "
            f"nullstr = {quote_literals(self._options.null_strings)}, "
            f"max_line_size = {MAX_LINE}, buffer_size = {_BUFFER_BYTES}, "
            f"columns = {{{columns}}}"
        )
        paths = quote_literals(str(sheet.link) for sheet in sheets)
        return f"SELECT * FROM read_csv({paths}, {options})"  # noqa: S608  quoted

    def _text_batches(self) -> Iterator[TextBatch]:
        for sheet in self._sheets:
            own = {name.lower(): place for place, name in enumerate(sheet.names)}
            places = [own.get(name.lower()) for name in self._types]
            for batch in self._text_of(sheet):
                missing = pa.nulls(len(batch.numbers), pa.string())
                columns = [missing if each is None else batch.columns[each] for each in places]
                yield TextBatch(file=batch.file, numbers=batch.numbers, columns=columns)

    def _text_of(self, sheet: _Sheet) -> Iterator[TextBatch]:
        """Yield the well-formed rows of a file with its own columns."""
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

    def _is_good(self, sheet: _Sheet, record: Record) -> bool:
        if not record.problem:
            return True
        self.rejects.add(
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
        if letters > _BATCH_LETTERS:
            break
    return taken


def _is_hard(sheet: _Sheet) -> bool:
    """Say whether the beginning of a file is more than DuckDB should be given."""
    with opened(sheet.file, error=NotCsvError) as stream:
        return _is_trouble(stream.read(CHUNK_BYTES))


def _is_trouble(piece: bytes) -> bool:
    lines = max(piece.count(b"\n"), piece.count(b"\r"))
    return b"\0" in piece or lines < _FEW_LINES * len(piece) // CHUNK_BYTES


def _is_plain(sheet: _Sheet) -> bool:
    """Say whether DuckDB reads a file exactly as careful reading would."""
    signs = sheet.signs
    is_usual = signs.escape in (None, signs.quote) and signs.comment is None
    is_utf8 = sheet.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")
    return is_utf8 and is_usual and signs.skip_footer == 0
