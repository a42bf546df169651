"""A DuckDB for one piece of reading: little memory, two threads, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from extracts.connectors.files.listing import SourceFile

_THREADS = 2
_MEMORY = "128MB"


@contextmanager
def session(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that spills into ``scratch``."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": _THREADS,
        "memory_limit": _MEMORY,
        "temp_directory": str(scratch / "spill"),
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "preserve_insertion_order": True,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection


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
    return str(error).startswith(_ABOUT_DATA)


# How DuckDB's messages about data begin.
_ABOUT_DATA = ("Invalid Input Error", "Conversion Error", "Invalid Error", "Parser Error")
