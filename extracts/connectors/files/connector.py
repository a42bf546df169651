"""Connector for files in a folder of the server."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import duckdb
import pyarrow as pa

from agnes_site.core import slugs
from agnes_site.core.errors import AgnesError, UpstreamError
from catalog.connectors import (
    CandidatePart,
    Capability,
    ColumnSpec,
    Connector,
    ExtractMode,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    Settings,
    TableRequest,
    TableSpec,
)
from extracts.connectors.files.csv_reader import CsvReader
from extracts.connectors.files.fingerprint import Fingerprint
from extracts.connectors.files.listing import SourceFile, supported_files, table_files
from extracts.connectors.files.parquet_reader import ParquetReader
from extracts.connectors.files.session import is_about_data
from extracts.connectors.files.settings import FilesConfig, FilesTable
from extracts.connectors.reach.paths import allowed_path
from extracts.engine.keys import OutOfOrderError, checked_keys, spelled_key
from extracts.engine.parquet import WRITER
from extracts.engine.session import session
from extracts.engine.sorting import sorted_rows

if TYPE_CHECKING:
    Reader = CsvReader | ParquetReader

# Changed when the same files would give other rows.
_READING = 1

_VECTOR_ROWS = 2048
_BATCH_CELLS = 400_000
_MANY_COLUMNS = 100


class FilesConnector(Connector):
    """Tables from CSV and Parquet files; each run brings the whole table as one part."""

    source_type = "files"
    display_name = "Files in a folder"
    aliases = frozenset({"csv", "local"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DISCOVER, Capability.PREVIEW, Capability.EXTRACT}
    )
    config_schema = FilesConfig
    table_schema = FilesTable

    def __init__(self, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Look into the folder."""
        folder = self._folder(config)
        files = supported_files(folder, folder)
        return Health(
            message=f"The folder can be read; it holds {len(files)} CSV or Parquet files.",
            details={"files": len(files)},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield a table for each file, and one for each folder of several files of one kind."""
        folder = self._folder(config)
        taken: set[str] = set()
        for source_table, files in _tables(supported_files(folder, folder)):
            is_folder = len(files) > 1
            name = source_table.rpartition("/")[2] if is_folder else files[0].stem
            slug = slugs.slug(name, taken=taken)
            taken.add(slug.lower())
            yield _spec(slug, source_table, files)

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return the first ``rows`` rows as they would be extracted, in the order of the files."""
        files = table_files(self._folder(config), table.source_table)
        with tempfile.TemporaryDirectory() as scratch, session(Path(scratch)) as connection:
            reader = _reader(connection, files, table, Path(scratch))
            try:
                query = f"FROM ({reader.query()}) LIMIT {int(rows)}"
                return connection.execute(query).to_arrow_table()
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                if not is_about_data(error):
                    raise
                raise reader.explain(error) from error

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring all rows, sorted by the primary key where the table has one.

        Raises:
            UpstreamError: a file changed while it was read.
            InvalidInputError: a file or row is not as it should be; the message says where.
        """
        if request.mode is ExtractMode.PARTS:
            raise self.unsupported(Capability.EXTRACT)
        table = request.table
        files = table_files(self._folder(config), table.source_table)
        before = Fingerprint(files)
        digest = before.digest(now_ns=self._now_ns(), settings=_way_of_reading(table))
        if digest is not None and request.state.get("fingerprint") == digest:
            return ExtractResult(is_unchanged=True, state=request.state)

        out.progress("extract", message=f"Reading {_counted(files)}, {before.bytes} bytes.")
        with session(out.scratch) as connection:
            part = _write(connection, files, table, out, before)
        _refuse_changed(files, before)
        return ExtractResult(parts=(part,), state={"fingerprint": digest} if digest else {})

    def _folder(self, config: Settings) -> Path:
        folder = cast("FilesConfig", config).folder
        allowed_path(folder, self.reach)
        return folder


def _write(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    out: Output,
    before: Fingerprint,
) -> CandidatePart:
    reader = _reader(connection, files, table, out.scratch)
    key = spelled_key(table.primary_key, [column.name for column in reader.columns])
    if len(reader.columns) > _MANY_COLUMNS:
        # Each thread holds vectors for every column and every step of its conversion.
        connection.execute("SET threads = 1")
    try:
        reader.check()
        return _write_in_order(connection, reader, key, out)
    except AgnesError:
        _refuse_changed(files, before)
        raise
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        _refuse_changed(files, before)
        if not is_about_data(error):
            raise
        raise reader.explain(error) from error


def _write_in_order(
    connection: duckdb.DuckDBPyConnection, reader: Reader, key: tuple[str, ...], out: Output
) -> CandidatePart:
    """Write all rows sorted by ``key``, if there is one."""
    batch_rows = _batch_rows(len(reader.columns))
    rows = connection.execute(reader.query()).to_arrow_reader(batch_rows)
    if not key:
        return out.write(rows)
    try:
        # Most exports are sorted by their key; those that are not show it soon.
        return out.write(checked_keys(rows, key, is_sorted=False), order=key)
    except OutOfOrderError:
        reader.rewind()
        rows = connection.execute(reader.query()).to_arrow_reader(batch_rows)
        rows = sorted_rows(connection, rows, key, scratch=out.scratch, batch_rows=batch_rows)
        return out.write(checked_keys(rows, key), order=key)


def _reader(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    scratch: Path,
) -> Reader:
    if files[0].kind == "parquet":
        return ParquetReader(connection, files, scratch=scratch)
    options = cast("FilesTable", table.options)
    return CsvReader(connection, files, options=options, known=table.known_columns, scratch=scratch)


def _batch_rows(columns: int) -> int:
    """Return how many rows to handle at once: fewer of wide tables, whole vectors of DuckDB."""
    return max(1, min(16, _BATCH_CELLS // (columns * _VECTOR_ROWS))) * _VECTOR_ROWS


def _refuse_changed(files: Sequence[SourceFile], before: Fingerprint) -> None:
    try:
        is_same = Fingerprint(files) == before
    except FileNotFoundError:
        is_same = False
    if not is_same:
        raise UpstreamError(
            "A file changed while it was being read.",
            hint="Run it again; a producer should write files under another name and rename them.",
            retry_after=60,
        )


def _way_of_reading(table: TableRequest) -> list[object]:
    """Return what, besides the files, decides which rows come out."""
    options = table.options.model_dump(mode="json")
    return [_READING, WRITER, table.source_table, list(table.primary_key), options]


def _counted(files: Sequence[SourceFile]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"


def _tables(
    files: Sequence[SourceFile], folder: str = ""
) -> Iterator[tuple[str, list[SourceFile]]]:
    """Yield (name, files) of the tables that files sorted by name make."""
    inner: dict[str, list[SourceFile]] = {}
    for file in files:
        entry, _, rest = file.name.removeprefix(folder).partition("/")
        if rest:
            inner.setdefault(folder + entry, []).append(file)
        else:
            yield file.name, [file]
    for name, group in inner.items():
        if len(group) > 1 and len({file.kind for file in group}) == 1:
            yield name, group
        else:
            yield from _tables(group, name + "/")


def _spec(name: str, source_table: str, files: Sequence[SourceFile]) -> TableSpec:
    columns: tuple[ColumnSpec, ...] = ()
    problem = ""
    request = TableRequest(name=name, source_table=source_table, options=FilesTable())
    with tempfile.TemporaryDirectory() as scratch, session(Path(scratch)) as connection:
        try:
            columns = _reader(connection, files, request, Path(scratch)).columns
        except AgnesError as error:
            # One bad file must not hide the others.
            problem = error.message
    return TableSpec(
        name=name,
        upstream_id=source_table,
        source_table=source_table,
        columns=columns,
        bytes=sum(file.path.stat().st_size for file in files),
        description=problem,
    )
