"""Connector for files in a folder of the server."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar, cast

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
from extracts.connectors.files.excel_reader import sheets_of
from extracts.connectors.files.fingerprint import Fingerprint
from extracts.connectors.files.formats import Format, split_sheet
from extracts.connectors.files.listing import SourceFile, supported_files, table_files
from extracts.connectors.files.reading import Reader, reader_of
from extracts.connectors.files.session import batch_rows, is_about_data, suit_width
from extracts.connectors.files.settings import FilesConfig, FilesTable
from extracts.connectors.reach.paths import allowed_path
from extracts.engine.keys import OutOfOrderError, checked_keys, spelled_key
from extracts.engine.parquet import WRITER
from extracts.engine.session import session
from extracts.engine.sorting import sorted_rows

# Changed when the same files would give other rows.
_READING = 2

# Rows that columns and types are found in where nothing is to be extracted yet.
_SAMPLE_ROWS = 1_000

_Read = TypeVar("_Read")


class FilesConnector(Connector):
    """Tables from files of many formats; each run brings the whole table as one part."""

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
            message=f"The folder can be read; it holds {len(files)} files of known formats.",
            details={"files": len(files)},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield a table for each file, and one for each folder of several files of one kind."""
        folder = self._folder(config)
        taken: set[str] = set()
        for source_table, files in _tables(supported_files(folder, folder)):
            is_folder = len(files) > 1
            name = source_table.rpartition("/")[2] if is_folder else files[0].stem
            for sheet in [""] if is_folder else _sheets(files[0]):
                slug = slugs.slug(f"{name} {sheet}".strip(), taken=taken)
                taken.add(slug.lower())
                yield _spec(slug, f"{source_table}#{sheet}" if sheet else source_table, files)

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return the first ``rows`` rows as they would be extracted, in the order of the files."""
        files = self._files(config, table)
        with tempfile.TemporaryDirectory() as scratch, session(Path(scratch)) as connection:
            reader = reader_of(
                connection, files, table, scratch=Path(scratch), look_at=max(rows, _SAMPLE_ROWS)
            )
            return _with_care(reader, lambda: _first(reader, rows))

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
        files = self._files(config, table)
        before = Fingerprint(files)
        digest = before.digest(now_ns=self._now_ns(), settings=_way_of_reading(table))
        if digest is not None and request.state.get("fingerprint") == digest:
            return ExtractResult(is_unchanged=True, state=request.state)

        out.progress("extract", message=f"Reading {_counted(files)}, {before.bytes} bytes.")
        with session(out.scratch) as connection:
            result = _write(connection, files, table, out, before)
        _refuse_changed(files, before)
        return replace(result, state={"fingerprint": digest} if digest else {})

    def _files(self, config: Settings, table: TableRequest) -> list[SourceFile]:
        kind = cast("FilesTable", table.options).format
        name, _ = split_sheet(table.source_table)
        return table_files(self._folder(config), name, kind=kind)

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
) -> ExtractResult:
    try:
        reader = reader_of(connection, files, table, scratch=out.scratch)
        names = [column.name for column in reader.columns]
        key = spelled_key(table.primary_key, names)
        suit_width(connection, len(names))
        reader.check()
        part = _with_care(reader, lambda: _write_in_order(connection, reader, key, out))
    except (AgnesError, duckdb.Error, pa.ArrowException, OSError):
        # Half of a file can look like anything.
        _refuse_changed(files, before)
        raise
    return ExtractResult(parts=(part,), notes=reader.notes, rejected=reader.rejects.result())


def _with_care(reader: Reader, read: Callable[[], _Read]) -> _Read:
    """Do what reads all rows, once more with care where the data call for it."""
    try:
        return read()
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if not is_about_data(error):
            raise
        if not reader.recover():
            raise reader.explain(error) from error
    return _with_care(reader, read)


def _write_in_order(
    connection: duckdb.DuckDBPyConnection, reader: Reader, key: tuple[str, ...], out: Output
) -> CandidatePart:
    """Write all rows sorted by ``key``, if there is one."""
    size = batch_rows(len(reader.columns))
    rows = reader.rows(size)
    if not key:
        return out.write(rows)
    try:
        # Most exports are sorted by their key; those that are not show it soon.
        return out.write(checked_keys(rows, key, is_sorted=False), order=key)
    except OutOfOrderError:
        rows = sorted_rows(connection, reader.rows(size), key, scratch=out.scratch, batch_rows=size)
        return out.write(checked_keys(rows, key), order=key)


def _first(reader: Reader, count: int) -> pa.Table:
    """Return the first ``count`` rows."""
    rows = reader.rows(2048)
    taken: list[pa.RecordBatch] = []
    for batch in rows:
        taken.append(batch)
        if sum(each.num_rows for each in taken) >= count:
            break
    return pa.Table.from_batches(taken, rows.schema).slice(0, count)


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


def _sheets(file: SourceFile) -> list[str]:
    """Return the sheets of a workbook that has several, else the one empty name."""
    if file.kind is not Format.EXCEL:
        return [""]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            names = sheets_of(file, scratch=Path(scratch))
        except AgnesError:
            # What is wrong is said where its columns are looked for.
            return [""]
    return names if len(names) > 1 else [""]


def _spec(name: str, source_table: str, files: Sequence[SourceFile]) -> TableSpec:
    columns: tuple[ColumnSpec, ...] = ()
    problem = ""
    request = TableRequest(name=name, source_table=source_table, options=FilesTable())
    with tempfile.TemporaryDirectory() as scratch, session(Path(scratch)) as connection:
        try:
            reader = reader_of(
                connection, files, request, scratch=Path(scratch), look_at=_SAMPLE_ROWS
            )
            columns = reader.columns
        except AgnesError as error:
            # One bad file must not hide the others.
            problem = error.message
    return TableSpec(
        name=name,
        upstream_id=source_table,
        source_table=source_table,
        columns=columns,
        bytes=sum(file.path.stat().st_size for file in files),
        problem=problem,
    )
