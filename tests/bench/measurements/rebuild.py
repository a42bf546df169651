"""Showing what many small sources hold.

Tables of a hundred rows, so that what is measured is the work that a table costs at all.
"Published" is each file validated, hashed, stored and committed; "rebuilt" is the renewal of
extract folders and of the analytics file. "Brought" is the whole way of extract folders of
another producer: found by the scan, copied in child processes, published and rebuilt, each as a
run of its own, by as many workers as `manage.py up` starts. It is measured with fewer sources,
since each costs the same once the workers have brought some.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server

_TABLES = 10
_ROWS = 100
_WARM = 4
_FACES, _EXTRACTS = "tests.bench.stock.faces", "tests.bench.stock.extracts"
_LIMIT_SECONDS = 900


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure publishing and showing everything, then renewals, then the scan."""
    yield from _faces(bench)
    yield _brought(bench)


def _faces(bench: Bench) -> Iterator[Figure]:
    few, count = bench.size(10, quick=2), bench.size(500, quick=3)
    total = few + count
    server = Server(bench.folder / "server")
    try:
        server.ask(f"{_FACES}:grow", sources=few, tables=_TABLES)
        flat = server.ask(f"{_FACES}:rebuild_seconds", rounds=5)
        new = server.ask(f"{_FACES}:grow", sources=total, tables=_TABLES)
        taken = server.ask(f"{_FACES}:rebuild_seconds", rounds=5)
        everything = {"views": total * _TABLES, "rows": _ROWS}
        check(server.ask(f"{_FACES}:shown"), everything, what="what is shown")
    finally:
        server.stop()
    of, among = f"{count} sources of {_TABLES} tables", f"one among {total} sources"
    yield Figure(
        what=f"{of}, all new, published and rebuilt", unit="s", budget=25,
        value=new["publish"] + new["rebuild"],
    )  # fmt: skip
    yield Figure(what="of that, rebuilt", unit="s", value=new["rebuild"])
    yield Figure(
        what=f"{total} sources, none changed, rebuilt", unit="s", value=taken["none changed"],
        budget=1, compared_with=f"{few} sources", compared=flat["none changed"],
    )  # fmt: skip
    yield Figure(
        what=f"{among}, unchanged, rebuilt", unit="s", value=taken["one unchanged"], budget=0.1,
        compared_with=f"among {few}", compared=flat["one unchanged"],
    )  # fmt: skip
    yield Figure(
        what=f"{among}, changed, rebuilt", unit="s", value=taken["one changed"],
        compared_with=f"among {few}", compared=flat["one changed"],
    )  # fmt: skip


def _brought(bench: Bench) -> Figure:
    count = bench.size(20, quick=2)
    server = Server(bench.folder / "foreign")
    try:
        server.start_workers()
        # The first ones wait for workers, and for what they start in their turn.
        server.ask(f"{_EXTRACTS}:produce", sources=_WARM, tables=_TABLES)
        server.ask(f"{_EXTRACTS}:scan_seconds", limit_seconds=_LIMIT_SECONDS)
        server.ask(f"{_EXTRACTS}:produce", sources=count, tables=_TABLES)
        seconds = server.ask(f"{_EXTRACTS}:scan_seconds", limit_seconds=_LIMIT_SECONDS)
        everything = {"failed": 0, "tables": (_WARM + count) * _TABLES}
        check(server.ask(f"{_EXTRACTS}:brought"), everything, what="what was brought")
    finally:
        server.stop()
    return Figure(
        what=f"each table of {count} extracts of {_TABLES} tables, all new, brought", unit="ms",
        value=seconds * 1000 / (count * _TABLES), budget=5,
        remark="5 ms a table are the budget of 25 s for 500 sources of 10 tables.",
    )  # fmt: skip
