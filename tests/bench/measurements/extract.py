"""Bringing a large CSV file.

A whole run, from claiming it to its end: types are found, rows are read, written, validated,
hashed, stored and committed, in the child process that every run has. The comparison is
DuckDB's own `COPY ... (FORMAT parquet, COMPRESSION zstd)` of the same file, which does the
reading and writing alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from agnes_site.core.sql import quote_literal
from tests.bench import csvs
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server
from tests.bench.timing import medians, process_seconds
from tests.journeys.installation import ROOT

_COPY = "import duckdb, sys; duckdb.execute(sys.argv[1])"
_FACTS = """
    SELECT count(*), sum(id), min(occurred_at), max(occurred_at), sum(customer_id), sum(quantity),
        sum(amount::DECIMAL(12, 2)), count(DISTINCT city), count(DISTINCT product),
        count(*) FILTER (is_paid), max(due_on), bit_xor(hash(reference))
    FROM read_parquet({path})
"""


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure one run of a file of ten columns."""
    rows = bench.size(10_000_000, quick=20_000)
    folder = bench.folder / "files"
    csv, copied = folder / "events.csv", bench.folder / "copied.parquet"
    csvs.write_events(csv, rows=rows)
    server = Server(bench.folder / "server")
    brought: list[Path] = []

    def run_seconds() -> float:
        told = server.ask(
            "tests.bench.stock.runs:bring", folder=str(folder), file=csv.name,
            name=f"events_{len(brought)}",
        )  # fmt: skip
        check(told["rows"], rows, what="rows of the run")
        brought.append(Path(told["file"]))
        return float(told["seconds"])

    def copy_seconds() -> float:
        statement = (
            f"COPY (FROM read_csv({quote_literal(str(csv))})) TO {quote_literal(str(copied))} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
        command = [sys.executable, "-c", _COPY, statement]
        return process_seconds(command, env=server.environment, cwd=ROOT)

    try:
        taken = medians(bench.size(3, quick=1), {"copy": copy_seconds, "run": run_seconds})
        for path in brought:
            check(_facts(path), _facts(copied), what="what is in the table")
        sizes = brought[-1].stat().st_size, copied.stat().st_size
    finally:
        server.stop()
    what = f"CSV of {csv.stat().st_size / 1e9:.2f} GB and {rows / 1e6:g} million rows"
    yield Figure(
        what=f"{what}, published", unit="s", value=taken["run"], ratio_budget=3,
        compared_with="DuckDB's `COPY`", compared=taken["copy"],
    )  # fmt: skip
    yield Figure(
        what="size of the Parquet file", unit="MB", value=sizes[0] / 1e6,
        compared_with="DuckDB's `COPY`", compared=sizes[1] / 1e6,
    )  # fmt: skip


def _facts(path: Path) -> tuple[object, ...]:
    found = duckdb.sql(_FACTS.format(path=quote_literal(str(path)))).fetchone()
    assert found is not None
    return found
