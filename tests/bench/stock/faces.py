"""Many sources of small tables: publishing all of them, and renewing what shows them."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from uuid import uuid4

import duckdb
import pyarrow as pa
from django.conf import settings

from agnes_site.core.progress import silent
from catalog.models import Source, Table, TableName
from extracts.engine import orchestrator
from extracts.engine.parquet import write_parquet
from extracts.services import regeneration
from tests.bench.stock.parquet import publish_all
from tests.bench.timing import call_seconds

_ROWS = 100


def grow(*, sources: int, tables: int) -> dict[str, float]:
    """Bring the number of sources to ``sources``; time what publishes and shows the new tables.

    Their files are written before, which is not timed.
    """
    new = [_source(number, tables=tables) for number in range(Source.objects.count(), sources)]
    written = [[(table, _write(table)) for table in source.tables.all()] for source in new]
    started = time.perf_counter()
    for files in written:
        publish_all(files, rows=_ROWS)
    return {"publish": time.perf_counter() - started, "rebuild": _rebuild()}


def rebuild_seconds(*, rounds: int) -> dict[str, float]:
    """Time the renewal of one source, unchanged and changed, and that of all, none changed."""
    source = Source.objects.order_by("slug")[0]

    def one() -> float:
        return call_seconds(lambda: regeneration.rebuild_source(source, silent))

    def one_changed() -> float:
        Source.objects.filter(pk=source.pk).update(stamp=uuid4())
        return one()

    return {
        "one unchanged": median(one() for _ in range(rounds)),
        "one changed": median(one_changed() for _ in range(rounds)),
        "none changed": median(_rebuild() for _ in range(rounds)),
    }


def shown() -> dict[str, int]:
    """Return how many views there are, and how many rows the last of them has."""
    path = orchestrator.current(settings.LAYOUT.analytics)
    last = Table.objects.order_by("name").values_list("name", flat=True).last()
    with duckdb.connect(str(path), read_only=True) as connection:
        views, rows = connection.execute(
            "SELECT (SELECT count(*) FROM duckdb_views() WHERE NOT internal AND "
            f"schema_name = 'main'), (SELECT count(*) FROM {last})"
        ).fetchall()[0]
    return {"views": views, "rows": rows}


def _rebuild() -> float:
    def rebuild() -> None:
        failed = regeneration.rebuild(silent)
        if failed:
            raise RuntimeError(f"{len(failed)} sources failed, the first: {failed[0]}")

    return call_seconds(rebuild)


def _source(number: int, *, tables: int) -> Source:
    source = Source.objects.create(
        slug=f"shop_{number:03}", source_type="files", config={"folder": "/data"}
    )
    made = [Table(name=f"{source.slug}_{ordinal}", source=source) for ordinal in range(tables)]
    Table.objects.bulk_create(made)
    TableName.objects.bulk_create(
        TableName(table=table, name=table.name, is_alias=False) for table in made
    )
    return source


def _write(table: Table) -> Path:
    path = settings.LAYOUT.tmp / f"{table.name}.parquet"
    rows = pa.table(
        {"id": range(_ROWS), "name": [f"{table.name} {number}" for number in range(_ROWS)]}
    )
    write_parquet(rows.to_reader(), path)
    return path
