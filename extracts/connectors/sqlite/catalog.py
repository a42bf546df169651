"""What a file of SQLite holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agnes_site.core import slugs
from agnes_site.core.errors import AgnesError
from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.connectors import TableSpec
from extracts.connectors.database.errors import UpstreamMissingError
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.sqlite.connection import Sqlite
from extracts.connectors.sqlite.types import (
    SOURCE,
    declared_type,
    found_type,
    qualified,
    source_column,
)

# How many rows tell the types of undeclared columns while somebody waits.
_SAMPLE_ROWS = 1000

_TABLES = """
SELECT name FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""


def table_names(upstream: Sqlite) -> list[str]:
    """Return the names of all tables and views."""
    return [str(row[0]) for row in upstream.values(_TABLES)]


def offered(upstream: Sqlite) -> Iterator[TableSpec]:
    """Yield every table and view; one that is broken says what its problem is."""
    taken: set[str] = set()
    for name in table_names(upstream):
        slug = slugs.slug(name, taken=taken)
        taken.add(slug.lower())
        columns: tuple[SourceColumn, ...] = ()
        key: tuple[str, ...] = ()
        problem = ""
        try:
            columns = table_relation(upstream, name, as_text=(), sample=_SAMPLE_ROWS).columns
            key = primary_key(upstream, name)
        except AgnesError as error:
            problem = error.message
            upstream.connection.execute("ROLLBACK")
            upstream.connection.execute("BEGIN")
        yield TableSpec(
            name=slug,
            upstream_id=name,
            source_table=name,
            columns=tuple(column.spec for column in columns),
            primary_key=key,
            problem=problem,
        )


def primary_key(upstream: Sqlite, name: str) -> tuple[str, ...]:
    """Return the primary key that a table declares."""
    rows = upstream.values(
        f"SELECT name FROM pragma_table_xinfo({quote_literal(name)}) "  # noqa: S608  quoted
        "WHERE pk > 0 ORDER BY pk"
    )
    return tuple(str(row[0]) for row in rows)


def table_relation(
    upstream: Sqlite, name: str, *, as_text: Sequence[str], sample: int | None = None
) -> Relation:
    """Return a table or view with all of its columns, the generated ones too.

    Raises:
        UpstreamMissingError: there is none.
    """
    rows = upstream.values(
        'SELECT name, type, "notnull" AS required '  # noqa: S608  quoted
        f"FROM pragma_table_xinfo({quote_literal(name)}) WHERE hidden <> 1 ORDER BY cid"
    )
    if not rows:
        raise UpstreamMissingError(f"The database has no table {name}.", table=name)
    declared = [(str(row[0]), declared_type(str(row[1] or "")), row[2] == "0") for row in rows]
    origin = f"{quote_identifier(name)} AS {SOURCE}"
    undeclared = [column for column, kind, _ in declared if not kind]
    found = _found(upstream, origin, undeclared, sample)
    columns = tuple(
        _column(column, kind or found[column], nullable, as_text)
        for column, kind, nullable in declared
    )
    return Relation(label=name, origin=origin, columns=columns)


def query_relation(
    upstream: Sqlite, sql: str, *, as_text: Sequence[str] = (), sample: int | None = None
) -> Relation:
    """Return what a query gives; the types are those of the values it gives.

    Raises:
        QueryRefusedError: it is no single query, or SQLite cannot make sense of it.
    """
    sql = sql.strip().rstrip("; \n\t")
    origin = f"({sql}\n) AS {SOURCE}"
    with upstream.explained():
        described = upstream.connection.execute(
            f"SELECT * FROM {upstream.run(f'SELECT * FROM {origin}')} LIMIT 0"  # noqa: S608  quoted
        ).description
    names = [str(each[0]) for each in described or ()]
    found = _found(upstream, origin, names, sample)
    columns = tuple(_column(name, found[name], True, as_text) for name in names)
    return Relation(label="the query", origin=origin, columns=columns, is_query=True)


def _column(name: str, kind: str, nullable: bool, as_text: Sequence[str]) -> SourceColumn:
    is_text = not kind or name.lower() in {each.lower() for each in as_text}
    return source_column(name, kind, nullable=nullable, as_text=is_text)


def _found(
    upstream: Sqlite, origin: str, names: Sequence[str], sample: int | None
) -> dict[str, str]:
    """Return the types of columns without a declared one, by looking at their values."""
    if not names:
        return {}
    rows_of = origin
    if sample is not None:
        rows_of = f"(SELECT * FROM {origin} LIMIT {sample:d}) AS {SOURCE}"  # noqa: S608  quoted
    items = ", ".join(
        f"group_concat(DISTINCT typeof({qualified(name)})) AS c{number}"
        for number, name in enumerate(names)
    )
    row = upstream.values(f"SELECT {items} FROM {rows_of}")[0]  # noqa: S608  quoted
    kinds = [set(str(each or "null").split(",")) for each in row]
    return {name: found_type(kind) for name, kind in zip(names, kinds, strict=True)}
