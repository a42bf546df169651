"""What a run holds in memory.

The most resident memory of the child process that does the work of a run, over what it began
with: for a file of ten columns, for one with ten times the rows, and for one of 300 columns. It
counts the pages of DuckDB and Arrow themselves that the work touches, which one row shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import csvs
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server

_WIDE_COLUMNS = 300


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure the memory of four runs."""
    few = bench.size(1_000_000, quick=2_000)
    many, wide_rows = 10 * few, bench.size(100_000, quick=200)
    folder = bench.folder / "files"
    csvs.write_events(folder / "one.csv", rows=1)
    csvs.write_events(folder / "few.csv", rows=few)
    csvs.write_events(folder / "many.csv", rows=many)
    csvs.write_wide(folder / "wide.csv", rows=wide_rows, columns=_WIDE_COLUMNS)
    server = Server(bench.folder / "server")
    try:
        yield _figure("one row", _grown_mb(server, folder / "one.csv", rows=1))
        base = _grown_mb(server, folder / "few.csv", rows=few)
        yield _figure(f"{few / 1e6:g} million rows", base)
        grown = _grown_mb(server, folder / "many.csv", rows=many)
        yield _figure(
            f"{many / 1e6:g} million rows", grown, compared=base, compared_with="a tenth of them"
        )
        wide = _grown_mb(server, folder / "wide.csv", rows=wide_rows)
        yield _figure(f"{wide_rows / 1e6:g} million rows of {_WIDE_COLUMNS} columns", wide)
    finally:
        server.stop()


def _figure(
    what: str, value: float, *, compared: float | None = None, compared_with: str = ""
) -> Figure:
    return Figure(
        what=f"memory of a run of {what}", unit="MB", value=value, budget=256,
        compared=compared, compared_with=compared_with,
        ratio_budget=None if compared is None else 1.2,
    )  # fmt: skip


def _grown_mb(server: Server, csv: Path, *, rows: int) -> float:
    told = server.ask(
        "tests.bench.stock.runs:bring", folder=str(csv.parent), file=csv.name, name=csv.stem,
        is_watched=True,
    )  # fmt: skip
    check(told["rows"], rows, what="rows of the run")
    return float(told["grown"]) / 1e6
