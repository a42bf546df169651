"""Showing what 500 sources of 10 tables hold.

The sources are extract folders of another producer, as small as folders can be, so that what is
measured is the work a table costs at all. "Brought" is everything: found by the scan, brought by
the worker of `manage.py up` one child process at a time, validated, hashed, stored, committed
and shown. "Rebuilt" is the renewal of extract folders and of the analytics file alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server

_TABLES = 10
_STOCK = "tests.bench.stock.extracts"
_LIMIT_SECONDS = 1800


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure bringing everything, then renewals of what is shown."""
    count = bench.size(500, quick=3)
    few = bench.size(50, quick=2)
    server = Server(bench.folder / "server")
    try:
        _bring(server, sources=few, edition=1)
        flat = server.ask(f"{_STOCK}:rebuild_seconds", rounds=5)
        brought = _bring(server, sources=count, edition=2)
        taken = server.ask(f"{_STOCK}:rebuild_seconds", rounds=5)
    finally:
        server.stop()
    of, of_few = f"{count} sources of {_TABLES} tables", f"{few} sources"
    yield Figure(
        what=f"one unchanged source among {of} rebuilt", unit="s", value=taken["one unchanged"],
        budget=0.1, compared_with=f"among {of_few}", compared=flat["one unchanged"],
    )  # fmt: skip
    yield Figure(
        what=f"one changed source among {of} rebuilt", unit="s", value=taken["one changed"],
        compared_with=f"among {of_few}", compared=flat["one changed"],
    )  # fmt: skip
    yield Figure(
        what=f"{of}, all changed, rebuilt", unit="s", value=taken["all changed"], budget=25,
    )  # fmt: skip
    yield Figure(
        what=f"{of}, none changed, rebuilt", unit="s", value=taken["none changed"], budget=1,
        compared_with=of_few, compared=flat["none changed"],
    )  # fmt: skip
    yield Figure(what=f"{of}, none changed, scanned", unit="s", value=taken["scan"], budget=1)
    yield Figure(what=f"{of}, all changed, brought", unit="s", value=brought, budget=25)


def _bring(server: Server, *, sources: int, edition: int) -> float:
    """Write extracts and let a worker bring them; return how long that takes it."""
    server.ask(f"{_STOCK}:produce", sources=sources, tables=_TABLES, edition=edition)
    worker = server.start_worker()
    try:
        seconds = server.ask(f"{_STOCK}:scan_seconds", limit_seconds=_LIMIT_SECONDS)
    finally:
        server.kill(worker)
    everything = {
        "failed": 0, "tables": sources * _TABLES, "views": sources * _TABLES, "edition": edition,
    }  # fmt: skip
    check(server.ask(f"{_STOCK}:shown"), everything, what="what is shown")
    return float(seconds)
