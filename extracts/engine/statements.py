"""The statements by which views are made, and many of them run in the time of a few."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from agnes_site.core.sql import quote_literal, quote_literals

Key = TypeVar("Key", bound=Hashable)


def rows_of_files(paths: Sequence[Path]) -> str:
    """Return what stands behind FROM for the rows of Parquet files, matched by column names."""
    if len(paths) == 1:
        return f"read_parquet({quote_literal(str(paths[0]))})"
    return f"read_parquet({quote_literals(map(str, paths))}, union_by_name = true)"


def run_each(
    connection: duckdb.DuckDBPyConnection, steps: Mapping[Key, Sequence[str]]
) -> dict[Key, duckdb.Error]:
    """Run steps in their order, each as one transaction; return what failed and why.

    They are tried as a single script first, which takes half of the time.
    """
    everything = [statement for statements in steps.values() for statement in statements]
    if not everything or _run(connection, everything) is None:
        return {}
    outcomes = {key: _run(connection, statements) for key, statements in steps.items()}
    return {key: error for key, error in outcomes.items() if error is not None}


def _run(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> duckdb.Error | None:
    try:
        connection.execute("; ".join(["BEGIN", *statements, "COMMIT"]))
    except duckdb.Error as error:
        # What cannot be parsed has begun nothing.
        with suppress(duckdb.TransactionException):
            connection.execute("ROLLBACK")
        return error
    return None
