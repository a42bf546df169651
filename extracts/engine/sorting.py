"""Sort more rows than fit into memory.

DuckDB's own sort fails once its runs outnumber its memory. Here rows become sorted runs on
disk, whose keys tell where to divide the whole into ranges that do fit; each range is read
from all runs, which their order makes cheap, and sorted by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.sql import quote_identifier, quote_literal, quote_literals
from extracts.engine.columns import duckdb_type
from extracts.engine.session import memory_for

_RUN_BYTES = 12 * 1024 * 1024
_GROUPS_IN_RUN = 32
_RANGE_MEMORY_MIB = 40


def sorted_rows(
    connection: duckdb.DuckDBPyConnection,
    rows: pa.RecordBatchReader,
    key: tuple[str, ...],
    *,
    scratch: Path,
    batch_rows: int,
    run_bytes: int = _RUN_BYTES,
) -> pa.RecordBatchReader:
    """Return ``rows`` sorted by ``key``, nulls last, with little of them in memory.

    ``rows`` may come from ``connection``, which is used again once they are all read.
    """
    schema = rows.schema
    runs = _Runs(scratch / "runs", key)
    chunks = _chunks(rows, schema, run_bytes)
    first = _sorted(next(chunks), key)
    for chunk in chunks:
        if not runs.paths:
            runs.add(first)
            first = first.slice(0, 0)
        runs.add(_sorted(chunk, key))
        del chunk
    if runs.paths:
        del first
        pa.default_memory_pool().release_unused()
        batches = _ranges(connection, runs, schema, batch_rows)
    else:
        batches = iter(first.to_batches(max_chunksize=batch_rows))
    return pa.RecordBatchReader.from_batches(schema, batches)


class _Runs:
    """Sorted Parquet files, and a sample of their keys at even distances."""

    def __init__(self, folder: Path, key: tuple[str, ...]) -> None:
        self.key = key
        self.paths: list[Path] = []
        self.samples: list[pa.Table] = []
        self._folder = folder
        # Rows may be sorted twice: what failed half-way leaves its runs.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def add(self, run: pa.Table) -> None:
        path = self._folder / f"{len(self.paths):06}.parquet"
        distance = max(1, run.num_rows // _GROUPS_IN_RUN)
        pq.write_table(run, path, row_group_size=distance, compression="lz4")
        self.paths.append(path)
        places = pa.array(range(0, run.num_rows, distance))
        self.samples.append(run.select(list(self.key)).take(places))

    def bounds(self) -> pa.Table:
        """Return the keys that divide all rows into ranges of about the size of a run."""
        samples = _sorted(pa.concat_tables(self.samples), self.key)
        places = range(_GROUPS_IN_RUN, samples.num_rows, _GROUPS_IN_RUN)
        return samples.take(pa.array(places, pa.int64()))


def _chunks(rows: pa.RecordBatchReader, schema: pa.Schema, run_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows in tables of about the size of a run; the first one may be empty."""
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        if size >= run_bytes:
            yield _taken(batches, schema)
            size = 0
        batches.append(batch)
        size += batch.nbytes
    yield _taken(batches, schema)


def _taken(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return the batches as a table that is the only one to hold them."""
    table = pa.Table.from_batches(batches, schema)
    batches.clear()
    return table


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in key])


def _ranges(
    connection: duckdb.DuckDBPyConnection, runs: _Runs, schema: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    paths = quote_literals(str(path) for path in runs.paths)
    order = ", ".join(quote_identifier(name) for name in runs.key)
    bounds = [None, *_as_sql(connection, runs.bounds()), None]
    # The ranges are small; threads and caches would cost memory for nothing.
    memory = memory_for(len(schema.names), at_least=_RANGE_MEMORY_MIB)
    connection.execute(f"SET memory_limit = '{memory}MiB'")
    connection.execute("SET threads = 1")
    for low, high in pairwise(bounds):
        conditions = _between(runs.key, low, high) or ["true"]
        query = (
            f"SELECT * FROM read_parquet({paths}) "  # noqa: S608  quoted
            f"WHERE {' AND '.join(conditions)} ORDER BY {order}"
        )
        for batch in connection.execute(query).to_arrow_reader(batch_rows):
            yield batch.cast(schema)


def _as_sql(connection: duckdb.DuckDBPyConnection, keys: pa.Table) -> list[list[str]]:
    """Return each row as a list of SQL literals."""
    if keys.num_rows == 0:
        return []
    kinds = [duckdb_type(field.type) for field in keys.schema]
    names = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in keys.schema.names)
    connection.register("bounds", keys)
    rows = connection.execute(f"SELECT {names} FROM bounds").fetchall()  # noqa: S608  quoted
    connection.unregister("bounds")
    return [[_literal(text, kind) for text, kind in zip(row, kinds, strict=True)] for row in rows]


def _literal(text: Any, kind: str) -> str:
    return "NULL" if text is None else f"{quote_literal(text)}::{kind}"


def _between(key: tuple[str, ...], low: list[str] | None, high: list[str] | None) -> list[str]:
    """Return conditions for the rows from ``low`` on that come before ``high``."""
    first = quote_identifier(key[0])
    conditions = []
    if low is not None:
        conditions.append(f"NOT {_is_before(key, low)}")
    if high is not None:
        conditions.append(_is_before(key, high))
    # These say nothing new, but in a way that skips parts of the runs.
    if high is not None and high[0] != "NULL":
        conditions.append(f"{first} <= {high[0]}")
        if low is not None:
            conditions.append(f"{first} >= {low[0]}")
    return conditions


def _is_before(key: tuple[str, ...], bound: list[str]) -> str:
    """Return SQL that says whether a row comes before ``bound``; nulls come last."""
    condition = "false"
    for name, value in reversed(list(zip(key, bound, strict=True))):
        column = quote_identifier(name)
        less = (
            f"{column} IS NOT NULL" if value == "NULL" else f"coalesce({column} < {value}, false)"
        )
        condition = f"({less} OR ({column} IS NOT DISTINCT FROM {value} AND {condition}))"
    return condition
