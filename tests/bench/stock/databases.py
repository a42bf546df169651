"""Runs of a table of PostgreSQL, done here as a worker does them."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings

from catalog.models import Source, Table
from catalog.services import registry, sources
from extracts.models import Run, RunState
from extracts.services import extraction, runs

_SOURCE = "database"


def bring(*, host: str, port: int, table: str, is_full: bool) -> dict[str, Any]:
    """Bring a table by its changes, or in full; register it if it is new."""
    source = Source.objects.filter(slug=_SOURCE).first() or sources.add_source(
        slug=_SOURCE, source_type="postgres", by=None,
        config={"host": host, "port": port, "database": "shop", "user": "postgres"},
    )  # fmt: skip
    found = Table.objects.filter(source=source, source_table=table).first()
    if found is None:
        found = registry.register_table(
            source=source, name=table, by=None, bucket="public", source_table=table,
            sync_strategy="incremental", primary_key=["id"], incremental_column="changed_at",
        )  # fmt: skip
    run, _ = runs.request_run(table=found, by=None, is_full=is_full)
    started = time.perf_counter()
    extraction.execute(runs.claim(run.pk, worker="bench"))
    seconds = time.perf_counter() - started
    run = Run.objects.select_related("table__current_version").get(pk=run.pk)
    if run.state != RunState.SUCCEEDED:
        raise RuntimeError(f"The run of {table} ended as {run.state}: {run.error_message}")
    assert run.table is not None
    assert run.table.current_version is not None
    part = run.table.current_version.parts.get()
    return {
        "rows": run.rows,
        "file": str(settings.LAYOUT.stored(part.sha256)),
        "seconds": seconds,
        "is_merged": "Merged" in run.log,
    }
