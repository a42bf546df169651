"""Runs of tables from CSV files, done here as a worker does them."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings

from catalog.models import Source
from catalog.services import registry, sources
from extracts.models import Run, RunState
from extracts.services import extraction, runs
from tests.bench.watching import children, watching

_SOURCE = "bench"


def bring(*, folder: str, file: str, name: str, is_watched: bool = False) -> dict[str, Any]:
    """Register a file as a table and bring it; return rows, file, seconds and memory.

    A small table is brought first, so that the process which children are forked from is warm.
    """
    warm = Path(folder) / "warm.csv"
    warm.write_text("id\n1\n", encoding="utf-8")
    _brought(_asked(folder, warm.name, f"warm_{name}"))
    run = _asked(folder, file, name)
    watched = watching(_workers) if is_watched else nullcontext(None)
    with watched as watch:
        started = time.perf_counter()
        run = _brought(run)
        seconds = time.perf_counter() - started
    held = watch.largest() if watch else None
    assert run.table is not None
    assert run.table.current_version is not None
    part = run.table.current_version.parts.get()
    return {
        "rows": run.rows,
        "file": str(settings.LAYOUT.stored(part.sha256)),
        "seconds": seconds,
        "grown": held.peak - held.first if held else None,
    }


def _asked(folder: str, file: str, name: str) -> Run:
    source = Source.objects.filter(slug=_SOURCE).first() or sources.add_source(
        slug=_SOURCE, source_type="files", config={"folder": folder}, by=None
    )
    table = registry.register_table(source=source, name=name, by=None, source_table=file)
    return runs.request_run(table=table, by=None)[0]


def _brought(run: Run) -> Run:
    extraction.execute(runs.claim(run.pk, worker="bench"))
    run = Run.objects.select_related("table__current_version").get(pk=run.pk)
    if run.state != RunState.SUCCEEDED:
        raise RuntimeError(f"The run of {run.table} ended as {run.state}: {run.error_message}")
    return run


def _workers() -> list[int]:
    """Return the children that do the work of runs: forked by the warm process, which is ours."""
    return [worker for warm in children(os.getpid()) for worker in children(warm)]
