"""One read-only connection to a file of SQLite through DuckDB, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.sql import quote_literal
from agnes_site.core.storage import StorageFullError
from extracts.connectors.database.errors import (
    CursorTypeError,
    QueryRefusedError,
    SourceBusyError,
    SourceUnreachableError,
    UpstreamMissingError,
    ValueUnreadableError,
)
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.database.upstream import Upstream
from extracts.connectors.sqlite.settings import SqliteConfig
from extracts.connectors.sqlite.types import SOURCE, UNREADABLE, qualified
from extracts.engine import extensions
from extracts.engine.session import session

_ALIAS = "upstream"
_TIMES = ("DATE", "TIMESTAMP")
_RETRY_SECONDS = 30


class NotADatabaseError(UpstreamMissingError):
    """The file is no SQLite database, or it is damaged."""

    code = "sqlite_not_a_database"
    hint = "Check the path; `sqlite3 <file> 'PRAGMA integrity_check'` says whether it is sound."


_MEANINGS: tuple[tuple[str, type[AgnesError], str], ...] = (
    ("not a database", NotADatabaseError, ""),
    ("malformed", NotADatabaseError, ""),
    ("file is encrypted", NotADatabaseError, ""),
    ("database is locked", SourceBusyError, "Somebody writes into it for long; run again later."),
    ("table is locked", SourceBusyError, ""),
    ("unable to open database file", SourceUnreachableError,
     "Check that the server may read the file and, where it is in WAL mode, write its folder."),
    ("readonly database", QueryRefusedError, ""),
    ("No space left", StorageFullError, ""),
    ("disk is full", StorageFullError,
     "SQLite sorts in /var/tmp or /tmp of this server: free some space there, then run again."),
    ("no such table", UpstreamMissingError, ""),
    ("no such column", UpstreamMissingError, ""),
    ("has duplicate column name", QueryRefusedError,
     "Give each column of the query a name of its own, with AS."),
    ("Failed to prepare", QueryRefusedError, ""),
    ("Invalid unicode", ValueUnreadableError,
     "A text is not UTF-8; mend it at the source, or declare the column as BLOB."),
    ("Conversion Error", ValueUnreadableError, ""),
)  # fmt: skip


class Sqlite(Upstream):
    """An attached file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def run(self, sql: str) -> str:
        """Return DuckDB's table function for a query of SQLite; all of its columns are text."""
        return f"sqlite_query({quote_literal(_ALIAS)}, {quote_literal(sql)})"

    def ordered(self, column: SourceColumn) -> str:
        """Return how rows are sorted by a column: as Arrow does, by bytes and nulls last."""
        collation = "" if column.kind == "BIGINT" else " COLLATE BINARY"
        return f"{qualified(column.name)}{collation} NULLS LAST"

    def explain(self, error: Exception, relation: Relation | None = None) -> AgnesError:
        """Say what a failure means, and where the value is that caused it."""
        said = _words(str(error))
        if UNREADABLE in said and relation is not None:
            return self._unreadable(relation)
        where = f" while reading {relation.label}" if relation else ""
        for part, kind, hint in _MEANINGS:
            if part in str(error):
                message = f"SQLite{where}: {said}"
                if issubclass(kind, UpstreamError):
                    return kind(message, hint=hint or None, retry_after=_RETRY_SECONDS)
                return kind(message, hint=hint or None)
        return UpstreamError(f"Reading from SQLite failed{where}: {said}")

    def compared(self, column: SourceColumn) -> str:
        """Return SQL for a cursor as it is compared."""
        if column.kind in ("BIGINT", "VARCHAR", *_TIMES):
            return qualified(column.name)
        raise CursorTypeError(
            f"{column.name!r} cannot be the incremental column: its type is {column.spec.type}.",
            column=column.name,
        )

    def literal(self, column: SourceColumn, value: str, *, back: timedelta = timedelta(0)) -> str:
        """Return the value of a cursor as SQL; ``back`` counts for times only."""
        if column.kind == "BIGINT":
            return str(int(value))
        if column.kind in _TIMES and back:
            form = "%Y-%m-%d" if column.kind == "DATE" else "%Y-%m-%d %H:%M:%S"
            seconds = int(back.total_seconds())
            return f"strftime('{form}', {quote_literal(value)}, '-{seconds} seconds')"
        return quote_literal(value)

    def moment(self, column: SourceColumn, at: datetime) -> str:
        """Return a moment as SQL of the type of a column."""
        if column.kind not in _TIMES:
            raise CursorTypeError(
                f"The history of {column.name!r} cannot be limited: its type is "
                f"{column.spec.type}, which is no time.",
                column=column.name,
            )
        return quote_literal(at.strftime("%Y-%m-%d"))

    def newest(self, relation: Relation, column: SourceColumn) -> str | None:
        """Return the largest value of a cursor; times that are yet to come do not count."""
        value = self.compared(column)
        limit = ""
        if column.kind in _TIMES:
            limit = f" AND {value} <= strftime('%Y-%m-%d %H:%M:%S', 'now')"
        if column.kind == "BIGINT":
            # A text would sort behind every number; reading its row says what is wrong with it.
            limit = f" AND typeof({value}) = 'integer'"
        rows = self.values(
            f"SELECT {value} AS newest FROM {relation.origin} "  # noqa: S608  quoted
            f"WHERE {value} IS NOT NULL{limit} ORDER BY {value} DESC LIMIT 1"
        )
        return str(rows[0][0]) if rows else None

    def is_marked(self, column: SourceColumn, values: Sequence[str]) -> str:
        """Return a condition for the rows that a tombstone marks."""
        name = qualified(column.name)
        text = f"CAST({name} AS TEXT)"
        if values:
            listed = ", ".join(quote_literal(value) for value in values)
            return f"coalesce({text} IN ({listed}), 0)"
        # A number may write its nothing as 0.0.
        is_zero = f"typeof({name}) = 'real' AND {name} = 0"
        return f"coalesce(lower({text}) NOT IN ('false', '0') AND NOT ({is_zero}), 0)"

    def _unreadable(self, relation: Relation) -> AgnesError:
        # DuckDB gives a transaction up after an error.
        self.connection.execute("ROLLBACK")
        self.connection.execute("BEGIN")
        for column in relation.columns:
            name = qualified(column.name)
            rows = self.values(
                f"SELECT place, typeof({name}) AS kind, "  # noqa: S608  quoted
                f"substr(CAST({name} AS TEXT), 1, 60) AS text FROM "
                f"(SELECT row_number() OVER () AS place, * FROM {relation.origin}) AS {SOURCE} "
                f"WHERE ({column.expression}) = {quote_literal(UNREADABLE)} LIMIT 1"
            )
            if rows:
                place, kind, text = rows[0]
                shown = "" if kind == "blob" else f" {text!r}"
                return ValueUnreadableError(
                    f"Row {place} of {relation.label}: column {column.name} is "
                    f"{column.spec.type} and holds {kind}{shown}.",
                    column=column.name,
                    row=place,
                )
        return ValueUnreadableError(f"A value of {relation.label} changed while it was read.")


@contextmanager
def connected(config: SqliteConfig, path: Path, scratch: Path) -> Iterator[Sqlite]:
    """Open the file at ``path`` and begin a transaction; DuckDB spills into ``scratch``.

    Raises:
        AgnesError: it cannot be read; the message says why.
    """
    with session(scratch) as connection:
        extensions.load(connection, "sqlite_scanner")
        upstream = Sqlite(connection)
        with upstream.explained():
            connection.execute(
                f"ATTACH {quote_literal(str(path))} AS {_ALIAS} (TYPE sqlite, READ_ONLY, "
                f"BUSY_TIMEOUT {config.busy_timeout_seconds * 1000})"
            )
            connection.execute("BEGIN")
        try:
            yield upstream
        finally:
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")


def _words(text: str) -> str:
    """Return what SQLite said, without what DuckDB puts around it."""
    said = text.partition("\n\nLINE 1: ")[0].partition("\n* SET ")[0]
    if "Failed to prepare query" in said:
        said = said.rpartition('": ')[2]
    return said.strip()
