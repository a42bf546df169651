"""The process that evaluates one table of a foreign extract and writes its rows to stdout.

It starts with a bare environment, confines itself before it opens the extract, and says by its
exit status how it went. Rows leave as an Arrow stream, a message about a failure on stderr.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from agnes_site.core.errors import AgnesError
from agnes_site.core.sql import quote_identifier
from extracts.engine import landlock
from extracts.engine.columns import check_depth
from extracts.engine.contract.opening import attach, connect
from extracts.engine.contract.shape import EXTRACT_NAME
from extracts.engine.parent import end_with

_MEMORY_LIMIT = "512MB"
_THREADS = 2
_BATCH_ROWS = 16 * 1024
_NESTED = frozenset(["list", "array", "map", "struct", "union"])
# How DuckDB reports what the kernel refused.
_REFUSALS = ("Permission denied", "Operation not permitted")


class Outcome(IntEnum):
    """Exit statuses; others than these are a crash."""

    DONE = 0
    REFUSED = 3
    FAILED = 4


def main(folder: Path, table: str, spill: Path, rows: int, parent: int) -> Outcome:
    """Write the rows of ``table`` to stdout, at most ``rows`` unless it is negative."""
    end_with(parent)
    duckdb.default_connection().close()
    connection = connect(memory_limit=_MEMORY_LIMIT, scratch=spill)
    # Whatever Arrow and DuckDB import late has to be there before the wall is.
    connection.sql("SELECT 1").to_arrow_reader(1).read_all()
    try:
        landlock.restrict(read=[folder], write=[spill], network=False)
        attach(connection, folder / EXTRACT_NAME, threads=_THREADS)
        relation = connection.sql(f"FROM {quote_identifier(table)}")
        for column, kind in zip(relation.columns, relation.types, strict=True):
            check_depth(column, _depth(kind))
        if rows >= 0:
            relation = relation.limit(rows)
        _send(relation.to_arrow_reader(_BATCH_ROWS))
    except duckdb.PermissionException as error:
        return _ended(Outcome.REFUSED, error)
    except (duckdb.Error, pa.ArrowException, OSError, AgnesError) as error:
        is_refused = any(text in str(error) for text in _REFUSALS)
        return _ended(Outcome.REFUSED if is_refused else Outcome.FAILED, error)
    return Outcome.DONE


def _depth(kind: DuckDBPyType) -> int:
    """Return how many levels of lists, maps and structs a type has."""
    if kind.id not in _NESTED:
        return 0
    inner = [child for _, child in kind.children if isinstance(child, DuckDBPyType)]
    return 1 + max(map(_depth, inner), default=0)


def _send(batches: pa.RecordBatchReader) -> None:
    with (
        os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as pipe,
        pa.ipc.new_stream(pipe, batches.schema) as stream,
    ):
        for batch in batches:
            stream.write_batch(batch)


def _ended(outcome: Outcome, error: Exception) -> Outcome:
    sys.stderr.write(str(error))
    return outcome


if __name__ == "__main__":
    place, name, scratch, most, caller = sys.argv[1:]
    sys.exit(main(Path(place), name, Path(scratch), int(most), int(caller)))
