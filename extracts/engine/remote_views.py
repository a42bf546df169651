"""Views over tables of remote catalogs, made without the catalogs.

DuckDB makes no view over a catalog that is missing. An empty catalog of the same alias stands in
for it: with the columns that were seen last, which is all that the view keeps. So whoever writes
a file needs neither network nor secret, and an outage at the source breaks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from agnes_site.core.sql import quote_identifier


@dataclass(frozen=True, kw_only=True)
class RemoteView:
    """What a view over a remote table stands for; columns are names and DuckDB types."""

    alias: str
    schema: str
    table: str
    columns: tuple[tuple[str, str], ...]

    @property
    def place(self) -> str:
        """The table as SQL names it."""
        return ".".join(map(quote_identifier, (self.alias, self.schema, self.table)))


@contextmanager
def standing_in(
    connection: duckdb.DuckDBPyConnection, views: Sequence[RemoteView]
) -> Iterator[frozenset[RemoteView]]:
    """Let empty tables stand in for the remote ones meanwhile; yield those that could."""
    aliases = {view.alias for view in views}
    for alias in aliases:
        connection.execute(f"ATTACH ':memory:' AS {quote_identifier(alias)}")
    try:
        yield frozenset(view for view in views if _stand_in(connection, view))
    finally:
        for alias in aliases:
            connection.execute(f"DETACH {quote_identifier(alias)}")


def _stand_in(connection: duckdb.DuckDBPyConnection, view: RemoteView) -> bool:
    schema = ".".join(map(quote_identifier, (view.alias, view.schema)))
    try:
        columns = ", ".join(
            # Read as a type and written anew: it can hold nothing else.
            f"{quote_identifier(name)} {connection.sqltype(kind)}"
            for name, kind in view.columns
        )
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {view.place} ({columns})")
    except (duckdb.Error, ValueError):
        return False
    return True
