"""Extract folders of another producer, and how long it takes to show what they hold."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import duckdb
from django.conf import settings

from agnes_site.core.progress import silent
from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.models import Source, Table
from extracts.engine import orchestrator
from extracts.models import Run, RunState
from extracts.services import regeneration, scanning
from tests.bench.timing import call_seconds

_META = """
    CREATE TABLE _meta (
        table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT, size_bytes BIGINT,
        extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local'
    )
"""
_ROWS = 100


def produce(*, sources: int, tables: int, edition: int) -> None:
    """Write that many extracts as a producer does; another ``edition`` has other rows."""
    with duckdb.connect() as connection:
        for number in range(sources):
            folder = settings.LAYOUT.extracts / f"shop_{number:03}"
            _write_extract(connection, folder, tables=tables, edition=edition)


def scan_seconds(*, limit_seconds: float) -> float:
    """Look for changed extracts and wait for the worker to have shown them all.

    Raises:
        TimeoutError: that is not done in time.
    """
    started = time.perf_counter()
    scanning.scan()
    while Run.objects.open().exists():
        if time.perf_counter() - started > limit_seconds:
            left = Run.objects.open().count()
            raise TimeoutError(f"{left} runs are left after {limit_seconds} seconds.")
        time.sleep(0.25)
    return time.perf_counter() - started


def shown() -> dict[str, int]:
    """Return failed runs, tables with a version, views, and the edition in the last view."""
    path = orchestrator.current(settings.LAYOUT.analytics)
    last = Table.objects.order_by("name").values_list("name", flat=True).last()
    with duckdb.connect(str(path), read_only=True) as connection:
        views, edition = connection.execute(
            "SELECT (SELECT count(*) FROM duckdb_views() WHERE NOT internal AND "
            f"schema_name = 'main'), (SELECT max(edition) FROM {quote_identifier(str(last))})"
        ).fetchall()[0]
    return {
        "failed": Run.objects.filter(state=RunState.FAILED).count(),
        "tables": Table.objects.published().count(),
        "views": views,
        "edition": edition,
    }


def rebuild_seconds(*, rounds: int) -> dict[str, float]:
    """Time what showing costs: nothing changed, one source changed, all of them changed."""
    source = Source.objects.order_by("slug").first()
    assert source is not None

    def one() -> float:
        return call_seconds(lambda: regeneration.rebuild_source(source, silent))

    def everything() -> float:
        return call_seconds(lambda: regeneration.rebuild(silent))

    def after(sources: Any, rebuilt: Any) -> float:
        for changed in sources:
            Source.objects.filter(pk=changed.pk).update(stamp=uuid4())
        return float(rebuilt())

    return {
        "scan": call_seconds(scanning.scan),
        "one unchanged": median(one() for _ in range(rounds)),
        "one changed": median(after([source], one) for _ in range(rounds)),
        "none changed": everything(),
        "all changed": after(Source.objects.all(), everything),
    }


def _write_extract(
    connection: duckdb.DuckDBPyConnection, folder: Path, *, tables: int, edition: int
) -> None:
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
            f"COPY (SELECT i AS id, hash(i + {number}) AS value, '{name}' AS name, "
            f"{edition} AS edition FROM range({_ROWS}) AS rows(i)) TO {path} (FORMAT parquet)"
        )
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet({path})')
        connection.execute(f"INSERT INTO _meta (table_name, rows) VALUES ('{name}', {_ROWS})")
    connection.execute("USE memory")
    connection.execute("DETACH extract")
    beside.replace(folder / "extract.duckdb")
