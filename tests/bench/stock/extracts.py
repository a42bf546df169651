"""Extract folders of another producer, and how long it takes to bring what they hold."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
from django.conf import settings

from agnes_site.core.sql import quote_literal
from catalog.models import Table
from extracts.models import Run, RunState
from extracts.services import scanning

_META = """
    CREATE TABLE _meta (
        table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT, size_bytes BIGINT,
        extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local'
    )
"""
_ROWS = 100


def produce(*, sources: int, tables: int) -> None:
    """Write that many more extracts as a producer does."""
    there = sum(1 for _ in settings.LAYOUT.extracts.iterdir())
    with duckdb.connect() as connection:
        for number in range(there, there + sources):
            folder = settings.LAYOUT.extracts / f"shop_{number:03}"
            _write_extract(connection, folder, tables=tables)


def scan_seconds(*, limit_seconds: float) -> float:
    """Look for changed extracts and wait for the workers to have shown them all.

    Raises:
        TimeoutError: that is not done in time.
    """
    started = time.perf_counter()
    scanning.scan()
    while Run.objects.open().exists():
        if time.perf_counter() - started > limit_seconds:
            left = Run.objects.open().count()
            raise TimeoutError(f"{left} runs are left after {limit_seconds} seconds.")
        time.sleep(0.05)
    return time.perf_counter() - started


def brought() -> dict[str, int]:
    """Return how many runs failed, and how many tables have a version."""
    return {
        "failed": Run.objects.filter(state=RunState.FAILED).count(),
        "tables": Table.objects.published().count(),
    }


def _write_extract(connection: duckdb.DuckDBPyConnection, folder: Path, *, tables: int) -> None:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    beside = folder / "extract.duckdb.tmp"
    connection.execute(f"ATTACH {quote_literal(str(beside))} AS extract")
    connection.execute("USE extract")
    connection.execute(_META)
    for number in range(tables):
        name = f"{folder.name}_{number}"
        path = quote_literal(str(data / f"{name}.parquet"))
        connection.execute(
            f"COPY (SELECT i AS id, hash(i + {number}) AS value, '{name}' AS name "
            f"FROM range({_ROWS}) AS rows(i)) TO {path} (FORMAT parquet)"
        )
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet({path})')
        connection.execute(f"INSERT INTO _meta (table_name, rows) VALUES ('{name}', {_ROWS})")
    connection.execute("USE memory")
    connection.execute("DETACH extract")
    beside.replace(folder / "extract.duckdb")
