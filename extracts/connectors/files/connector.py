"""Connector for files: in folders of the server, on web servers, in S3-compatible stores."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from agnes_site.core.errors import AgnesError
from catalog.connectors import (
    Capability,
    Connector,
    ExtractMode,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    SecretField,
    Settings,
    TableRequest,
    TableSpec,
)
from extracts.connectors.files.by_file import FilesInTurn, readers_by_file
from extracts.connectors.files.formats import split_sheet
from extracts.connectors.files.locations.choice import location_of
from extracts.connectors.files.locations.location import Entry, Fetched, Location, Stamp
from extracts.connectors.files.offers import SAMPLE_ROWS, offered
from extracts.connectors.files.parting import check_all, extract_parts
from extracts.connectors.files.reading import Reader, reader_of
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.source_file import SourceFile, refuse_mixture
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.writing import first_rows, write
from extracts.engine.parquet import WRITER
from extracts.engine.session import session

# Changed when the same files would give other rows.
_READING = 2

# Files whose beginnings are looked at for a preview.
_NEAR_FILES, _FAR_FILES = 20, 3


class FilesConnector(Connector):
    """Tables from files of many formats, wherever they are."""

    source_type = "files"
    display_name = "Files"
    aliases = frozenset({"csv", "local"})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DISCOVER, Capability.PREVIEW, Capability.EXTRACT}
    )
    config_schema = FilesConfig
    table_schema = FilesTable
    secret_fields: ClassVar[Mapping[str, SecretField]] = {
        "password": SecretField(
            label="Password", description="Web: that of the user.", is_required=False
        ),
        "token": SecretField(
            label="Token",
            description="Web: sent as Authorization: Bearer, where there is no password.",
            is_required=False,
        ),
        "s3_secret_access_key": SecretField(
            label="S3 secret access key", description="S3: that of the key id.", is_required=False
        ),
    }

    def __init__(self, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns

    def secret_places(self, config: Settings) -> frozenset[str]:
        """Return the servers that files come from, and who vouches for them."""
        given = cast("FilesConfig", config)
        trust = str(given.ca_file or "")
        addresses = [urlsplit(url) for url in (*given.urls, given.s3_endpoint) if url]
        return frozenset(f"{each.scheme}://{each.netloc.lower()} {trust}" for each in addresses)

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Look whether the place of the files can be reached."""
        return self._location(config, secrets).test()

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield a table for each file, and one for files of the same shape."""
        yield from offered(self._location(config, secrets))

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return the first rows as they would be extracted, from the beginnings of a few files."""
        location = self._location(config, secrets)
        entries = _entries(location, table)[: _NEAR_FILES if location.is_near else _FAR_FILES]
        with tempfile.TemporaryDirectory() as name, session(Path(name)) as connection:
            scratch = Path(name)
            with location.beginnings(entries, scratch) as fetched:
                files = [each.file for each in fetched]
                refuse_mixture(table.source_table, files)
                look_at = max(rows, SAMPLE_ROWS)
                return first_rows(_reader(connection, files, table, scratch, look_at), rows)

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring all rows, sorted by the primary key where the table has one.

        Raises:
            UpstreamError: a file changed while it was read, or a server failed.
            InvalidInputError: a file or row is not as it should be; the message says where.
        """
        if request.mode is ExtractMode.PARTS:
            raise self.unsupported(Capability.EXTRACT)
        table = request.table
        location = self._location(config, secrets)
        entries = _entries(location, table)
        way = _digest(_way_of_reading(table))
        if cast("FilesTable", table.options).part_per_file:
            brought = extract_parts(location, entries, request, out, way=way)
            return replace(brought, notes=(*location.notes, *brought.notes))
        stamps = location.stamps(entries, request.state.get("stamps", {}))
        seen = _fingerprint(way, entries, stamps)
        if seen is not None and request.state.get("fingerprint") == seen:
            return ExtractResult(is_unchanged=True, state=request.state)

        out.progress("extract", message=f"Reading {_counted(entries)}.")
        with location.fetched(entries, out.scratch) as fetched:
            result = _write(fetched, table, out)
            stamps = [each.stamp for each in fetched]
        return replace(
            result,
            notes=(*location.notes, *result.notes),
            state=_state(location, way, entries, stamps),
        )

    def _location(self, config: Settings, secrets: Mapping[str, str]) -> Location:
        given = cast("FilesConfig", config)
        return location_of(given, secrets, self.reach, now_ns=self._now_ns)


def _entries(location: Location, table: TableRequest) -> list[Entry]:
    kind = cast("FilesTable", table.options).format
    name, _ = split_sheet(table.source_table)
    return location.entries(name, kind=kind)


def _write(fetched: Sequence[Fetched], table: TableRequest, out: Output) -> ExtractResult:
    """Write all rows of the files as the one part of the table."""
    files = [each.file for each in fetched]
    refuse_mixture(table.source_table, files)
    try:
        with session(out.scratch) as connection:
            reader = _reader(connection, files, table, out.scratch)
            part = write(connection, reader, out, primary_key=table.primary_key)
    except (AgnesError, duckdb.Error, pa.ArrowException, OSError):
        # Half of a file can look like anything.
        check_all(fetched)
        raise
    check_all(fetched)
    return ExtractResult(parts=(part,), notes=reader.notes, rejected=reader.rejects.result())


def _reader(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    table: TableRequest,
    scratch: Path,
    look_at: int | None = None,
) -> Reader:
    options = cast("FilesTable", table.options)
    if not options.file_name_column:
        return reader_of(connection, files, table, scratch=scratch, look_at=look_at)
    readers = readers_by_file(connection, files, table, scratch=scratch)
    return FilesInTurn(readers, options, scratch)


def _state(
    location: Location, way: str, entries: Sequence[Entry], stamps: Sequence[Stamp | None]
) -> dict[str, Any]:
    """Return what the next run needs to tell whether anything has changed."""
    seen = _fingerprint(way, entries, stamps)
    if seen is None:
        return {}
    if not location.asks_with_stamps:
        return {"fingerprint": seen}
    named = {entry.name: stamp for entry, stamp in zip(entries, stamps, strict=True)}
    return {"fingerprint": seen, "stamps": named}


def _fingerprint(way: str, entries: Sequence[Entry], stamps: Sequence[Stamp | None]) -> str | None:
    """Return a hash of files and way of reading; ``None`` while a file cannot be told apart."""
    if None in stamps:
        return None
    return _digest([way, [[e.name, stamp] for e, stamp in zip(entries, stamps, strict=True)]])


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _way_of_reading(table: TableRequest) -> list[object]:
    """Return what, besides the files, decides which rows come out."""
    options = table.options.model_dump(mode="json")
    return [_READING, WRITER, table.source_table, list(table.primary_key), options]


def _counted(entries: Sequence[Entry]) -> str:
    count = entries[0].name if len(entries) == 1 else f"{len(entries):,} files"
    sizes = [entry.bytes for entry in entries if entry.bytes is not None]
    return f"{count}, {sum(sizes):,} bytes" if len(sizes) == len(entries) else count
