"""Bringing a table of PostgreSQL, and keeping it up to date.

A whole run of a table with a primary key, in full and after every hundredth row has changed. The
comparison is DuckDB's `COPY ... (FORMAT parquet, COMPRESSION zstd)` from the same table through the
same extension, which does the reading and writing alone, in no order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import duckdb

from agnes_site.core.sql import quote_literal
from extracts.engine.extensions import installed_path
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server
from tests.bench.timing import process_seconds
from tests.extracts.connectors import postgres_server
from tests.journeys.installation import ROOT

_COPY = "import duckdb, sys; duckdb.execute(sys.argv[1])"
_MAKE = """
    CREATE TABLE events AS SELECT n AS id, n % 1000 AS customer_id, md5(n::text) AS reference,
        (n % 100000 / 100.0)::numeric(12, 2) AS amount,
        timestamptz '2024-01-01' + n * interval '1 s' AS changed_at
    FROM generate_series(1, {rows}) n;
    ALTER TABLE events ADD PRIMARY KEY (id);
    CREATE INDEX ON events (changed_at);
    ANALYZE events
"""
_CHANGE = """
    UPDATE events SET amount = amount + 1, changed_at = timestamptz '2024-12-01'
    WHERE id % 100 = 0
"""
_FACTS = "SELECT count(*), sum(id), sum(amount), max(changed_at), bit_xor(hash(reference)) FROM {}"


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure a full run, and one of changes."""
    rows = bench.size(5_000_000, quick=20_000)
    what = f"PostgreSQL table of {rows / 1e6:g} million rows"
    if not (postgres_server.PROGRAMS / "initdb").exists():
        remark = "PostgreSQL is not installed."
        yield Figure(what=f"{what}, published", remark=remark, lacks="PostgreSQL")
        return
    server = Server(bench.folder / "server")
    copied = bench.folder / "copied.parquet"
    try:
        with postgres_server.running() as database:
            database.execute(_MAKE.format(rows=rows))
            place = {"host": database.socket, "port": database.port, "table": "events"}
            bring = "tests.bench.stock.databases:bring"
            full = server.ask(bring, **place, is_full=True)
            options = f"host={database.socket} port={database.port} dbname=shop user=postgres"
            statement = (
                f"LOAD {quote_literal(str(installed_path('postgres_scanner')))}; "
                f"ATTACH {quote_literal(options)} AS shop (TYPE postgres, READ_ONLY); "
                f"COPY (FROM shop.events) TO {quote_literal(str(copied))} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
            command = [sys.executable, "-c", _COPY, statement]
            copy = process_seconds(command, env=server.environment, cwd=ROOT)
            check(_facts(full["file"]), _facts(str(copied)), what="what is in the table")
            database.execute(_CHANGE)
            changed = server.ask(bring, **place, is_full=False)
            check(changed["is_merged"], True, what="changes were merged")
            again = server.ask(bring, **place, is_full=True)
            check(again["file"], changed["file"], what="the file of a full run")
    finally:
        server.stop()
    yield Figure(
        what=f"{what}, published", unit="s", value=full["seconds"], ratio_budget=3,
        compared_with="DuckDB's `COPY`", compared=copy,
    )  # fmt: skip
    yield Figure(
        what="the same, after 1 % of its rows changed", unit="s", value=changed["seconds"],
        compared_with="a full run", compared=again["seconds"], ratio_budget=1,
    )  # fmt: skip


def _facts(path: str) -> tuple[object, ...]:
    found = duckdb.sql(_FACTS.format(f"read_parquet({quote_literal(path)})")).fetchone()
    assert found is not None
    return found
