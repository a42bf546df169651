"""Read CSV files through DuckDB: types fixed beforehand, every bad row an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.sql import quote_identifier, quote_literal, quote_literals
from catalog.connectors import ColumnSpec
from extracts.connectors.files.csv_text import check_gzip, read_header
from extracts.connectors.files.csv_types import ColumnType, guess_types
from extracts.connectors.files.listing import SourceFile
from extracts.connectors.files.session import is_about_data, linked
from extracts.connectors.files.settings import FilesTable
from extracts.engine.columns import ColumnNameError, check_names

_SAMPLE_ROWS = 20_480
_SAMPLE_CELLS = 1_000_000
_SAMPLE_FILES = 20
_MAX_LINE_BYTES = 2_000_000
_BUFFER_BYTES = 2 * _MAX_LINE_BYTES


class CsvRowError(InvalidInputError):
    """A row of a CSV file does not fit the columns."""

    code = "csv_row_invalid"
    hint = "Correct the file; check the delimiter in the settings of the table."


class CsvSettingsError(InvalidInputError):
    """The settings of a table do not fit its CSV files."""

    code = "csv_settings_invalid"
    hint = "Correct `types` in the settings of the table."


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """One file with its own columns and delimiter."""

    file: SourceFile
    link: Path
    delimiter: str
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
            NotCsvError: a file is not CSV in UTF-8.
            ColumnNameError: a column has no usable name.
            CsvSettingsError: the settings name a column or a type that does not exist.
            CsvRowError: a row of the sample has too few or too many values.
        """
        self._connection = connection
        self._options = options
        links = linked(files, scratch)
        self._sheets = [self._sheet(*pair) for pair in zip(files, links, strict=True)]
        self._types = self._decided_types(known)

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""
        return tuple(ColumnSpec(name=name, type=each.kind) for name, each in self._types.items())

    def check(self) -> None:
        """Refuse compressed files that are cut off or damaged, which takes reading them."""
        for sheet in self._sheets:
            if sheet.file.is_gzip:
                check_gzip(sheet.file)

    def rewind(self) -> None:
        """Begin again: the next query gives all rows once more, as every one does."""

    def query(self) -> str:
        """Return the query for all rows, in the order of the files."""
        columns = ", ".join(kind.cast(name) for name, kind in self._types.items())
        return f"SELECT {columns} FROM ({self._text(self._sheets)})"  # noqa: S608  quoted

    def explain(self, error: Exception) -> InvalidInputError:
        """Say where the first row is that reading failed on, looking for it once more."""
        for sheet in self._sheets:
            found = self._rejected_row(sheet) or self._bad_value(sheet)
            if found is not None:
                return found
        names = ", ".join(sheet.file.name for sheet in self._sheets[:3])
        return CsvRowError(
            f"{names} cannot be read as CSV with the delimiter {self._sheets[0].delimiter!r}.",
            hint="Check that all lines end in the same way, and the delimiter in the settings.",
        )

    def _sheet(self, file: SourceFile, link: Path) -> _Sheet:
        delimiter, record = read_header(file, delimiter=self._options.delimiter)
        if not self._options.has_header:
            record = [f"column_{number}" for number in range(1, len(record) + 1)]
        names = [name.strip() for name in record]
        try:
            check_names(names)
        except ColumnNameError as error:
            raise ColumnNameError(f"{file.name}: {error.message}", **error.details) from error
        return _Sheet(file=file, link=link, delimiter=delimiter, names=tuple(names))

    def _decided_types(self, known: Sequence[ColumnSpec]) -> dict[str, ColumnType]:
        """Return the type of each column: from the settings, else as known, else guessed."""
        names: dict[str, str] = {}
        for sheet in self._sheets:
            for name in sheet.names:
                names.setdefault(name.lower(), name)
        decided = {
            column.name.lower(): ColumnType(kind=str(duckdb.sqltype(column.type)))
            for column in known
            if column.name.lower() in names
        }
        decided |= self._given_types(names)
        guessed: dict[str, ColumnType] = {}
        if len(decided) < len(names):
            guessed = self._guessed(list(names.values()))
        return {name: decided.get(key) or guessed[name] for key, name in names.items()}

    def _given_types(self, names: dict[str, str]) -> dict[str, ColumnType]:
        given = {}
        for name, text in self._options.types.items():
            if name.lower() not in names:
                raise CsvSettingsError(
                    f"The settings give a type to {name!r}; there is no such column.", column=name
                )
            try:
                kind = str(duckdb.sqltype(text))
            except duckdb.Error as error:
                raise CsvSettingsError(
                    f"The settings give column {name!r} the type {text!r}, which does not exist.",
                    column=name,
                ) from error
            given[name.lower()] = ColumnType(kind=kind, given=True)
        return given

    def _guessed(self, names: list[str]) -> dict[str, ColumnType]:
        sheets = self._sheets[:_SAMPLE_FILES]
        rows = max(100, min(_SAMPLE_ROWS, _SAMPLE_CELLS // len(names)) // len(sheets))
        samples = [f"FROM ({self._text([sheet])}) LIMIT {rows}" for sheet in sheets]
        try:
            return guess_types(self._connection, samples, names)
        except duckdb.Error as error:
            if not is_about_data(error):
                raise
            self._types = dict.fromkeys(names, ColumnType(kind="VARCHAR"))
            raise self.explain(error) from error

    def _text(self, sheets: Sequence[_Sheet]) -> str:
        """Return the query for all rows of some files as text."""
        groups = groupby(sheets, key=lambda sheet: (sheet.delimiter, sheet.names))
        return " UNION ALL BY NAME ".join(self._scan(list(group)) for _, group in groups)

    def _scan(self, sheets: Sequence[_Sheet], *, more_options: str = "") -> str:
        """Return the query for files that have the same columns."""
        columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in sheets[0].names)
        options = (
            f"auto_detect = false, header = {str(self._options.has_header).lower()}, "
            f"delim = {quote_literal(sheets[0].delimiter)}, quote = '\"', escape = '\"', "
            f"nullstr = {quote_literals(self._options.null_strings)}, "
            f"max_line_size = {_MAX_LINE_BYTES}, buffer_size = {_BUFFER_BYTES}, "
            f"columns = {{{columns}}}{more_options}"
        )
        paths = quote_literals(str(sheet.link) for sheet in sheets)
        return f"SELECT * FROM read_csv({paths}, {options})"  # noqa: S608  quoted

    def _rejected_row(self, sheet: _Sheet) -> CsvRowError | None:
        """Return the error for the first row that is not well formed."""
        scan = self._scan([sheet], more_options=", store_rejects = true, rejects_limit = 1000")
        try:
            for _ in self._connection.execute(scan).to_arrow_reader(2048):
                pass
            row = self._connection.execute(
                "SELECT line, error_type::VARCHAR FROM reject_errors ORDER BY line LIMIT 1"
            ).fetchone()
        except (duckdb.Error, OSError):
            return None
        if row is None:
            return None
        line, kind = row
        what = _PROBLEMS.get(kind, "the row cannot be read")
        return CsvRowError(
            f"{sheet.file.name}, row {line}: {what}.", file=sheet.file.name, row=line
        )

    def _bad_value(self, sheet: _Sheet) -> CsvRowError | None:
        """Return the error for the first value that does not have the type of its column."""
        row = next(self._bad_rows(sheet), None)
        if row is None:
            return None
        number = row[0] + (1 if self._options.has_header else 0)
        kinds = [(name, kind) for name, kind in self._types.items() if _is_in(name, sheet)]
        name, kind = next(pair for pair, is_bad in zip(kinds, row[1:], strict=True) if is_bad)
        return CsvRowError(
            f"{sheet.file.name}, row {number}, column {name!r}: the value is not a {kind.kind}.",
            hint="Correct the file, or set the type of the column in the settings of the table: "
            f'types = {{"{name}": "VARCHAR"}}. If the value stands for none, add it to '
            "null_strings.",
            file=sheet.file.name,
            row=number,
            column=name,
        )

    def _bad_rows(self, sheet: _Sheet) -> Iterator[tuple[int, ...]]:
        flags = [kind.is_bad(name) for name, kind in self._types.items() if _is_in(name, sheet)]
        marked = ", ".join(f"{flag} AS bad_{number}" for number, flag in enumerate(flags))
        is_any = " OR ".join(f"bad_{number}" for number in range(len(flags)))
        query = (
            f"SELECT * FROM (SELECT row_number() OVER () AS {quote_identifier('row')}, {marked} "  # noqa: S608  quoted
            f"FROM ({self._scan([sheet])})) WHERE {is_any} LIMIT 1"
        )
        try:
            yield from self._connection.execute(query).fetchall()
        except duckdb.Error:
            return


_PROBLEMS = {
    "MISSING COLUMNS": "there are fewer values than columns",
    "TOO MANY COLUMNS": "there are more values than columns",
    "UNQUOTED VALUE": "a quoted value is not closed, or text follows its closing quote",
    "LINE SIZE OVER MAXIMUM": f"the row is longer than {_MAX_LINE_BYTES} bytes",
    "INVALID ENCODING": "the text is not in UTF-8",
}


def _is_in(name: str, sheet: _Sheet) -> bool:
    return name.lower() in (each.lower() for each in sheet.names)
