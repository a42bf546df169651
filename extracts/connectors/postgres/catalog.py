"""What a PostgreSQL database holds: a few queries, whatever the number of its tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agnes_site.core import slugs
from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.connectors import TableSpec
from extracts.connectors.database.errors import (
    QueryRefusedError,
    SourceFailedError,
    UpstreamMissingError,
)
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.postgres.connection import Postgres
from extracts.connectors.postgres.explaining import right_missing
from extracts.connectors.postgres.types import PostgresType, resolved, source_column

_COLUMNS = """
SELECT a.attrelid::bigint AS relation, a.attname::text AS name, a.atttypid::bigint AS type,
       a.atttypmod AS modifier, a.attndims::int AS dimensions, a.attnotnull AS not_null,
       coalesce(d.description, '') AS description
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_description d ON d.objoid = a.attrelid
     AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN ({relations})
ORDER BY a.attrelid, a.attnum
"""

_TYPES = """
WITH RECURSIVE used(oid) AS (
    SELECT unnest({oids}::pg_catalog.oid[])
    UNION
    SELECT unnest(ARRAY[t.typbasetype, t.typelem]) FROM used JOIN pg_catalog.pg_type t USING (oid)
)
SELECT t.oid::bigint AS oid, t.typname::text AS typname, t.typtype::text AS typtype,
       t.typbasetype::bigint AS typbasetype, t.typtypmod AS typtypmod,
       t.typndims AS typndims, t.typelem::bigint AS typelem, t.typcategory::text AS typcategory,
       t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AS is_builtin
FROM pg_catalog.pg_type t JOIN used USING (oid)
"""

_TABLES = """
SELECT c.oid::bigint AS relation, n.nspname::text AS schema, c.relname::text AS name,
       CASE c.relkind WHEN 'p' THEN leaves.rows WHEN 'v' THEN NULL
            ELSE nullif(c.reltuples, -1)::bigint END AS rows,
       CASE c.relkind WHEN 'p' THEN leaves.pages WHEN 'v' THEN NULL WHEN 'f' THEN NULL
            ELSE CASE WHEN c.reltuples <> -1 THEN c.relpages END
            END * current_setting('block_size')::bigint AS bytes,
       coalesce(d.description, '') AS description,
       (SELECT json_agg(a.attname ORDER BY k.place)::text
        FROM pg_catalog.pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts) AS key
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0
     AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
LEFT JOIN LATERAL (
    SELECT sum(greatest(l.reltuples, 0))::bigint AS rows, sum(l.relpages)::bigint AS pages
    FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
    WHERE t.isleaf
) leaves ON c.relkind = 'p'
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition AND {readable}
ORDER BY n.nspname, c.relname
"""

_READABLE = """
n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
"""


_TABLE = """
SELECT c.oid::bigint AS relation,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS may_enter,
       pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AS may_read
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relname = {name} AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
"""


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    type: int
    modifier: int
    dimensions: int
    not_null: bool
    description: str


def offered(upstream: Postgres) -> Iterator[TableSpec]:
    """Yield every table, view and partitioned table that the user may read."""
    tables = _listed(upstream)
    columns = _columns(upstream, _ids(tables))
    types = _types(upstream, (column.type for each in columns.values() for column in each))
    taken: set[str] = set()
    for table in tables:
        name = slugs.slug(table["name"], taken=taken)
        taken.add(name.lower())
        found = [_source_column(each, types, ()) for each in columns[table["relation"]]]
        yield TableSpec(
            name=name,
            upstream_id=f"{table['schema']}.{table['name']}",
            bucket=table["schema"],
            source_table=table["name"],
            columns=tuple(column.spec for column in found),
            primary_key=tuple(json.loads(table["key"] or "[]")),
            rows=table["rows"],
            bytes=table["bytes"],
            description=table["description"],
        )


def readable_tables(upstream: Postgres) -> int:
    """Return how many tables of the source's schemas the user may read."""
    return len(_listed(upstream))


def _listed(upstream: Postgres) -> list[dict[str, Any]]:
    readable = _READABLE
    if upstream.config.schemas:
        listed = ", ".join(quote_literal(name) for name in upstream.config.schemas)
        readable += f" AND n.nspname IN ({listed})"
    return _dicts(upstream, _TABLES.format(readable=readable), _TABLE_FIELDS)


def table_relation(
    upstream: Postgres, *, schema: str, name: str, as_text: Sequence[str]
) -> Relation:
    """Return a table or view with all of its columns.

    Raises:
        UpstreamMissingError: there is none.
        RightMissingError: the user may not read it.
    """
    label, place = f"{schema}.{name}", f"{quote_identifier(schema)}.{quote_identifier(name)}"
    rows = upstream.values(_TABLE.format(schema=quote_literal(schema), name=quote_literal(name)))
    if not rows:
        raise UpstreamMissingError(f"The database has no table {label}.", table=label)
    relation, may_enter, may_read = int(str(rows[0][0])), *rows[0][1:]
    user = upstream.config.user
    if not may_enter:
        raise right_missing(
            f"The user {user} may not look into the schema {schema}.",
            "USAGE ON SCHEMA", quote_identifier(schema), user,
        )  # fmt: skip
    if not may_read:
        raise right_missing(f"The user {user} may not read {label}.", "SELECT ON", place, user)
    columns = _columns(upstream, [relation])[relation]
    types = _types(upstream, (column.type for column in columns))
    return Relation(
        label=label,
        origin=place,
        columns=tuple(_source_column(each, types, as_text) for each in columns),
    )


def query_relation(upstream: Postgres, sql: str, *, as_text: Sequence[str] = ()) -> Relation:
    """Return what a query gives, without running it.

    Raises:
        QueryRefusedError: it is no single query, or PostgreSQL cannot make sense of it.
        RightMissingError, UpstreamMissingError: it names what is not there for this user.
    """
    sql = sql.strip()
    try:
        with upstream.explained():
            described = upstream.connection.execute(
                f"SELECT * FROM {upstream.run(sql)} LIMIT 0"  # noqa: S608  quoted
            ).description
        sql = sql.rstrip("; \n\t")
        names = [str(each[0]) for each in described or ()]
        kinds = _kinds(upstream, sql, names)
    except SourceFailedError as error:
        # In whatever language it says so: nothing else than the query was looked at.
        hint = None if upstream.is_english else error.hint
        raise QueryRefusedError(error.message, hint=hint) from None
    modifiers = [_decimal_modifier(each[1]) for each in described or ()]
    types = _types(upstream, kinds)
    columns = tuple(
        source_column(
            name, resolved(types, kind, modifier, 0),
            nullable=True, description="", as_text=_is_named(name, as_text),
        )
        for name, kind, modifier in zip(names, kinds, modifiers, strict=True)
    )  # fmt: skip
    return Relation(
        label="the query", origin=f"({sql}\n) AS source_query", columns=columns, is_query=True
    )


def _kinds(upstream: Postgres, sql: str, names: Sequence[str]) -> list[int]:
    """Return the type of each column of a query; it is planned and checked, never run."""
    items = ", ".join(
        f"pg_catalog.pg_typeof(q.{quote_identifier(name)})::pg_catalog.oid::bigint AS c{number}"
        for number, name in enumerate(names)
    )
    rows = upstream.values(
        f"SELECT {items} FROM (SELECT 1) AS one LEFT JOIN "  # noqa: S608  asked of the engine
        f"(SELECT * FROM ({sql}\n) AS source_query LIMIT 0) AS q ON true"
    )
    return [int(str(each)) for each in rows[0]]


def _decimal_modifier(kind: Any) -> int:
    """Return the type modifier of a numeric that DuckDB could tell, -1 otherwise."""
    if kind.id != "decimal":
        return -1
    children = dict(kind.children)
    precision, scale = children["precision"], children["scale"]
    return ((precision << 16) | scale) + 4 if scale <= precision else -1


def _source_column(
    column: _Column, types: dict[int, dict[str, Any]], as_text: Sequence[str]
) -> SourceColumn:
    kind: PostgresType = resolved(types, column.type, column.modifier, column.dimensions)
    return source_column(
        column.name, kind, nullable=not column.not_null, description=column.description,
        as_text=_is_named(column.name, as_text),
    )  # fmt: skip


def _is_named(name: str, names: Sequence[str]) -> bool:
    return name.lower() in {each.lower() for each in names}


_TABLE_FIELDS = ("relation", "schema", "name", "rows", "bytes", "description", "key")
_COLUMN_FIELDS = (
    "relation", "name", "type", "modifier", "dimensions", "not_null", "description",
)  # fmt: skip
_TYPE_FIELDS = (
    "oid", "typname", "typtype", "typbasetype", "typtypmod", "typndims", "typelem",
    "typcategory", "is_builtin",
)  # fmt: skip


def _columns(upstream: Postgres, relations: Sequence[int]) -> dict[int, list[_Column]]:
    found: dict[int, list[_Column]] = defaultdict(list)
    if relations:
        listed = ", ".join(str(each) for each in relations)
        for row in _dicts(upstream, _COLUMNS.format(relations=listed), _COLUMN_FIELDS):
            found[row.pop("relation")].append(_Column(**row))
    return found


def _types(upstream: Postgres, oids: Iterable[int]) -> dict[int, dict[str, Any]]:
    listed = ",".join(str(oid) for oid in sorted(set(oids)))
    rows = _dicts(upstream, _TYPES.format(oids=quote_literal("{" + listed + "}")), _TYPE_FIELDS)
    return {row["oid"]: row for row in rows}


def _ids(tables: Sequence[dict[str, Any]]) -> list[int]:
    return [table["relation"] for table in tables]


def _dicts(upstream: Postgres, sql: str, names: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in upstream.values(sql)]
