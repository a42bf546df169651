"""Short questions to the demo company's tables."""

from __future__ import annotations

import duckdb


def value(company: duckdb.DuckDBPyConnection, sql: str):
    """Return the one value that a query finds."""
    [(found,)] = company.execute(sql).fetchall()
    return found


def pairs(company: duckdb.DuckDBPyConnection, sql: str) -> dict:
    """Return the rows of two columns that a query finds."""
    return dict(company.execute(sql).fetchall())
