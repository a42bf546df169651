"""What DuckDB is given to read, and which of its errors are about that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from extracts.connectors.files.source_file import SourceFile
from extracts.engine.failures import is_out_of_memory
from extracts.engine.session import memory_for

_MANY_COLUMNS = 100


def suit_width(connection: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Let a database have what a table of so many columns needs.

    Each thread holds vectors for every column and every step of its conversion.
    """
    if columns > _MANY_COLUMNS:
        connection.execute("SET threads = 1")
    connection.execute(f"SET memory_limit = '{memory_for(columns)}MiB'")


def linked(files: Sequence[SourceFile], scratch: Path) -> list[Path]:
    """Return links to ``files`` in ``scratch`` whose names mean nothing to DuckDB."""
    folder = scratch / "input"
    folder.mkdir(exist_ok=True)
    links = []
    for number, file in enumerate(files):
        link = folder / f"{number:06}{file.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(file.path)
        links.append(link)
    return links


def is_about_data(error: Exception) -> bool:
    """Say whether an error of DuckDB is about what it reads, and not about the machine."""
    return str(error).startswith(_ABOUT_DATA) and not is_out_of_memory(error)


# How DuckDB's messages about data begin.
_ABOUT_DATA = (
    "Invalid Input Error",
    "Conversion Error",
    "Invalid Error",
    "Parser Error",
    "Not implemented Error: The Parallel CSV Reader",
)
