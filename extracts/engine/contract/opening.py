"""Opens an ``extract.duckdb`` that somebody else may have written, and nothing but its folder."""

from __future__ import annotations

import struct
from pathlib import Path

import duckdb

from agnes_site.core.errors import InvalidInputError, UpstreamError
from agnes_site.core.sql import quote_literal, quote_literals
from extracts.engine.extensions import OFFLINE

_MAGIC = b"DUCK"
_VERSION_AT = 12


class ExtractDamagedError(InvalidInputError):
    """The file is no DuckDB database, or its bytes are not what was written."""

    code = "extract_damaged"
    hint = "Let the producer write it beside and rename it when complete, or repeat its run."


class ExtractVersionUnsupportedError(InvalidInputError):
    """The file is in a storage format newer than the DuckDB of this server."""

    code = "extract_version_unsupported"
    hint = "Let the producer attach it with `(STORAGE_VERSION 'v1.0.0')` when it writes the file."


class ExtractBusyError(UpstreamError):
    """Another process has the file open for writing."""

    code = "extract_busy"
    hint = "It is read again later; a producer that writes beside and renames never blocks it."


def connect(
    *, memory_limit: str = "256MB", scratch: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that loads no extension; it spills to ``scratch`` or not at all.

    It has no thread of its own until :func:`attach` says so.
    """
    connection = duckdb.connect(
        config={
            **OFFLINE,
            "memory_limit": memory_limit,
            "temp_directory": str(scratch or ""),
            "threads": "1",
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def attach(connection: duckdb.DuckDBPyConnection, path: Path, *, threads: int = 1) -> None:
    """Open ``path`` read-only as the current database; its folder is all that can be reached.

    Raises:
        ExtractDamagedError: it is missing, no database, incomplete or altered.
        ExtractVersionUnsupportedError: a newer DuckDB wrote it.
        ExtractBusyError: its producer has it open.
    """
    if path.is_symlink() or not path.is_file():
        raise ExtractDamagedError(f"{path.name} of {path.parent.name!r} is not a regular file.")
    try:
        connection.execute(f"ATTACH {quote_literal(str(path))} AS extract (READ_ONLY, TYPE duckdb)")
        connection.execute("USE extract")
    except duckdb.Error as error:
        raise _explained(path, error) from error
    folders = sorted({str(path.parent), str(path.parent.resolve())})
    for setting in (
        f"threads = {threads:d}",
        f"allowed_directories = {quote_literals(folders)}",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def _explained(path: Path, error: duckdb.Error) -> Exception:
    text = str(error)
    source = path.parent.name
    if "version number" in text:
        return ExtractVersionUnsupportedError(
            f"{path.name} of {source!r} needs a newer DuckDB than {duckdb.__version__}.",
            source=source,
            storage_version=_storage_version(path),
        )
    if "lock on file" in text:
        return ExtractBusyError(f"{path.name} of {source!r} is being written.", source=source)
    return ExtractDamagedError(f"{path.name} of {source!r} cannot be read.", source=source)


def _storage_version(path: Path) -> int | None:
    with path.open("rb") as file:
        head = file.read(_VERSION_AT + 8)
    if len(head) < _VERSION_AT + 8 or head[8:_VERSION_AT] != _MAGIC:
        return None
    version: int = struct.unpack_from("<Q", head, _VERSION_AT)[0]
    return version
