"""Reads an ``extract.duckdb`` that somebody else wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.slugs import is_slug
from agnes_site.core.sql import quote_identifier
from catalog.connectors import Attach, ColumnSpec, QueryMode
from extracts.engine.contract.opening import ExtractDamagedError, attach, connect
from extracts.engine.contract.plain import plain_files, remote_place
from extracts.engine.contract.shape import META, REMOTE_ATTACH, RESERVED, LeftOut

_MOST_ROWS = 20_000
_INTEGERS = frozenset(
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
)
# How each column of the contract is read, whatever it holds; a column that is absent is NULL.
_META = {
    "table_name": "coalesce(CAST(table_name AS VARCHAR), '')",
    # Not every database keeps a NUL in a text.
    "description": "coalesce(replace(left(CAST(description AS VARCHAR), 10000), chr(0), ''), '')",
    "rows": "least(greatest(coalesce(rows, 0), 0), 9223372036854775807)",
    "size_bytes": "least(greatest(coalesce(size_bytes, 0), 0), 9223372036854775807)",
    "extracted_at": "CASE WHEN TRY_CAST(extracted_at AS TIMESTAMP)"
    " BETWEEN TIMESTAMP '1970-01-01' AND TIMESTAMP '9999-01-01'"
    " THEN TRY_CAST(extracted_at AS TIMESTAMP) END",
    "query_mode": "coalesce(CAST(query_mode AS VARCHAR), 'local')",
}
_REMOTE_ATTACH = {
    column: f"coalesce(CAST({column} AS VARCHAR), '')"
    for column in ("alias", "extension", "url", "token_env")
}
_ABSENT = {"description": "''", "rows": "0", "size_bytes": "0", "query_mode": "'local'"}


class ExtractInvalidError(InvalidInputError):
    """The file is a sound database that does not keep the contract."""

    code = "extract_invalid"
    hint = "The page on custom connectors lists the columns of `_meta` and `_remote_attach`."


@dataclass(frozen=True, kw_only=True)
class InnerTable:
    """A table that a foreign extract shows.

    ``files`` are the Parquet files it consists of, or ``None`` when it is no view over plain
    files: it is remote, or only DuckDB can tell what it holds. ``place`` is where a remote one
    is: alias, schema and name, ``None`` when its view is anything but that.
    """

    name: str
    description: str
    rows: int
    size_bytes: int
    extracted_at: datetime | None
    query_mode: QueryMode
    columns: tuple[ColumnSpec, ...]
    files: tuple[Path, ...] | None
    place: tuple[str, str, str] | None = None

    @property
    def is_remote(self) -> bool:
        """Say that its rows stay in another system."""
        return self.query_mode is QueryMode.REMOTE


@dataclass(frozen=True, kw_only=True)
class Extract:
    """What a foreign extract shows, and which rows of its ``_meta`` had to be skipped."""

    tables: tuple[InnerTable, ...]
    remote: tuple[Attach, ...]
    skipped: tuple[LeftOut, ...]


def read_extract(path: Path, *, only: str | None = None) -> Extract:
    """Read which tables the extract at ``path`` shows, without evaluating any of them.

    With ``only`` no other table is looked for, which is cheap in an extract of many. A row of
    ``_meta`` that cannot be used never hides the others: it is named in ``skipped``.

    Raises:
        ExtractDamagedError: it is missing, no database, incomplete or altered.
        ExtractVersionUnsupportedError: a newer DuckDB wrote it.
        ExtractBusyError: its producer has it open.
        ExtractInvalidError: ``_meta`` or ``_remote_attach`` is not as the contract says.
    """
    with closing(connect()) as connection:
        attach(connection, path)
        try:
            return _Reader(connection, path.parent).read(only)
        except duckdb.Error as error:
            raise ExtractDamagedError(
                f"The tables that {path.name} of {path.parent.name!r} lists cannot be read.",
                source=path.parent.name,
            ) from error


class _Reader:
    """One reading of one attached extract; names are compared in lower case."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self.columns = _inner_columns(connection)
        self.view_sql = _inner_views(connection)

    def read(self, only: str | None) -> Extract:
        tables: dict[str, InnerTable] = {}
        skipped: list[LeftOut] = []
        for row in self._meta():
            name = row["table_name"]
            if only is not None and name.lower() != only.lower():
                continue
            if reason := self._objection(name, row["query_mode"], tables):
                skipped.append(LeftOut(table=name, reason=reason))
            else:
                tables[name.lower()] = self._table(row)
        return Extract(tables=tuple(tables.values()), remote=self._remote(), skipped=tuple(skipped))

    def _objection(self, name: str, query_mode: str, known: Collection[str]) -> str:
        if not is_slug(name) or name.lower() in RESERVED:
            return "This cannot be the name of a table."
        if name.lower() in known:
            return "The extract lists this table twice."
        if query_mode not in set(QueryMode):
            return f"There is no query mode {query_mode!r}."
        if name.lower() not in self.columns:
            return "The extract has no table or view of this name."
        return ""

    def _table(self, row: Mapping[str, Any]) -> InnerTable:
        name: str = row["table_name"]
        extracted_at: datetime | None = row["extracted_at"]
        query_mode = QueryMode(row["query_mode"])
        is_remote = query_mode is QueryMode.REMOTE
        return InnerTable(
            name=name,
            description=row["description"],
            rows=row["rows"],
            size_bytes=row["size_bytes"],
            extracted_at=extracted_at.replace(tzinfo=UTC) if extracted_at else None,
            query_mode=query_mode,
            columns=self.columns[name.lower()],
            files=None if is_remote else self._files(name),
            place=remote_place(self.view_sql.get(name.lower(), "")) if is_remote else None,
        )

    def _files(self, name: str) -> tuple[Path, ...] | None:
        view_sql = self.view_sql.get(name.lower())
        if view_sql is None:
            return None
        return plain_files(self.connection, view_sql=view_sql, folder=self.folder)

    def _meta(self) -> list[dict[str, Any]]:
        if META not in self.columns:
            raise ExtractInvalidError(f"The extract has no table {META}.")
        types = {column.name.lower(): column.type for column in self.columns[META]}
        if "table_name" not in types:
            raise ExtractInvalidError(f"{META} has no column 'table_name'.")
        for column in ("rows", "size_bytes"):
            if types.get(column, "BIGINT") not in _INTEGERS:
                raise ExtractInvalidError(f"Column {column!r} of {META} is not an integer.")
        return self._rows(META, _META)

    def _remote(self) -> tuple[Attach, ...]:
        if REMOTE_ATTACH not in self.columns:
            return ()
        return tuple(
            Attach(
                alias=row["alias"],
                extension=row["extension"],
                url=row["url"],
                token_name=row["token_env"],
            )
            for row in self._rows(REMOTE_ATTACH, _REMOTE_ATTACH)
        )

    def _rows(self, table: str, columns: Mapping[str, str]) -> list[dict[str, Any]]:
        present = {column.name.lower() for column in self.columns[table]}
        values = [
            value if column in present else _ABSENT.get(column, "NULL")
            for column, value in columns.items()
        ]
        relation = self.connection.sql(f"FROM {quote_identifier(table)}").limit(_MOST_ROWS + 1)
        rows = relation.project(", ".join(values)).fetchall()
        if len(rows) > _MOST_ROWS:
            raise ExtractInvalidError(f"{table} has more than {_MOST_ROWS} rows.")
        return [dict(zip(columns, row, strict=True)) for row in rows]


def _inner_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[ColumnSpec, ...]]:
    # DuckDB keeps the columns of a view when it is made: nothing is opened for this answer.
    rows = connection.execute(
        "SELECT lower(table_name), column_name, data_type, is_nullable, comment"
        " FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = 'main' AND NOT internal ORDER BY table_oid, column_index"
    ).fetchall()
    columns: dict[str, list[ColumnSpec]] = {}
    for table, name, data_type, is_nullable, comment in rows:
        spec = ColumnSpec(
            name=name, type=data_type, nullable=is_nullable, description=comment or ""
        )
        columns.setdefault(table, []).append(spec)
    return {table: tuple(specs) for table, specs in columns.items()}


def _inner_views(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT lower(view_name), sql FROM duckdb_views()"
            " WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal"
        ).fetchall()
    )
