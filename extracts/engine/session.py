"""A DuckDB for one piece of reading: little memory, two threads, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from extracts.engine.extensions import OFFLINE

_THREADS = 2
MEMORY_MIB = 128
_MIB_PER_THOUSAND_COLUMNS = 150
_VECTOR_ROWS = 2048
_BATCH_CELLS = 400_000


@contextmanager
def session(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that spills into ``scratch``."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": _THREADS,
        "memory_limit": f"{MEMORY_MIB}MiB",
        "temp_directory": str(scratch / "spill"),
        **OFFLINE,
        "preserve_insertion_order": True,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection


def memory_for(columns: int, *, at_least: int = MEMORY_MIB) -> int:
    """Return how much memory (MiB) DuckDB needs for tables of so many columns.

    It holds vectors of 2 048 values for every column and every step of its conversion.
    """
    return max(at_least, columns * _MIB_PER_THOUSAND_COLUMNS // 1000)


def batch_rows(columns: int) -> int:
    """Return how many rows to handle at once: fewer of wide tables, whole vectors of DuckDB."""
    return max(1, min(16, _BATCH_CELLS // (columns * _VECTOR_ROWS))) * _VECTOR_ROWS
