"""Which SQL brings a column of PostgreSQL without loss, and what comes of it.

DuckDB's extension reads some types wrongly: ``numeric`` without a precision becomes a rounded
``DOUBLE``, ``NaN`` in one with a precision becomes ``0.00``. So each column is asked for by an
expression that either gives what DuckDB reads exactly, or text, or fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.connectors import ColumnSpec
from extracts.connectors.database.relation import SourceColumn

_MAX_PRECISION = 38


@dataclass(frozen=True, kw_only=True)
class PostgresType:
    """A row of ``pg_type``, with the domain's base type and the array's element resolved."""

    name: str
    category: str  # typtype: b base, c composite, e enum, r range, …
    is_builtin: bool
    modifier: int = -1
    dimensions: int = 0
    element: PostgresType | None = None


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """``expression`` has ``{}`` for the quoted column, and ``{refuse}`` for what fails on it."""

    type: str
    expression: str = "{}"
    cast: str = "{}"
    is_sortable: bool = False


# A cast that fails, with a text that :mod:`explaining` knows between whatever quotes the server
# puts. It depends on the row, so that PostgreSQL does not try it beforehand.
UNREADABLE, END = "agnes cannot read ", " (agnes)"
_REFUSAL = f"({{label}} || left({{}}::text, 60) || {quote_literal(END)})::bigint"

_TEXT = _Reading(type="VARCHAR", expression="{}::text")
_JSON = _Reading(type="JSON", expression="to_jsonb({})::text")

_BUILT_IN = {
    "bool": _Reading(type="BOOLEAN", is_sortable=True),
    "int2": _Reading(type="SMALLINT", is_sortable=True),
    "int4": _Reading(type="INTEGER", is_sortable=True),
    "int8": _Reading(type="BIGINT", is_sortable=True),
    "oid": _Reading(type="BIGINT", expression="{}::bigint", is_sortable=True),
    "float4": _Reading(type="FLOAT"),
    "float8": _Reading(type="DOUBLE"),
    "text": _Reading(type="VARCHAR"),
    "varchar": _Reading(type="VARCHAR"),
    "bytea": _Reading(type="BLOB", is_sortable=True),
    "date": _Reading(type="DATE", is_sortable=True),
    "time": _Reading(
        type="TIME",
        expression="CASE WHEN {} = '24:00' THEN {refuse}::text::time ELSE {} END",
        is_sortable=True,
    ),
    "timestamp": _Reading(type="TIMESTAMP", is_sortable=True),
    "timestamptz": _Reading(type="TIMESTAMP WITH TIME ZONE", is_sortable=True),
    "uuid": _Reading(type="UUID", cast="{}::BLOB", is_sortable=True),
    "json": _Reading(type="JSON", expression="{}::text"),
    "jsonb": _Reading(type="JSON", expression="{}::text"),
    "money": _Reading(type="DECIMAL(21,4)", expression="{}::numeric(21,4)", is_sortable=True),
}

# What DuckDB reads as the elements of a list.
_ELEMENTS = {
    "bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "date", "time",
    "timestamp", "timestamptz",
}  # fmt: skip


def source_column(
    name: str, kind: PostgresType, *, nullable: bool, description: str, as_text: bool = False
) -> SourceColumn:
    """Return how a column is read; with ``as_text`` as PostgreSQL prints it."""
    reading = _TEXT if as_text else _reading(kind)
    return SourceColumn(
        spec=ColumnSpec(name=name, type=reading.type, nullable=nullable, description=description),
        kind=kind.name if kind.is_builtin else "",
        expression=_filled(reading.expression, name),
        cast=reading.cast,
        is_sortable=reading.is_sortable,
    )


def _filled(expression: str, name: str) -> str:
    label = quote_literal(f"{UNREADABLE}{name}: ")
    places = {"{refuse}": _REFUSAL, "{label}": label, "{}": quote_identifier(name)}
    pattern = re.compile("|".join(re.escape(place) for place in places))
    with_refusal = expression.replace("{refuse}", _REFUSAL)
    return pattern.sub(lambda found: places[found[0]], with_refusal)


def _reading(kind: PostgresType) -> _Reading:
    if kind.element is not None:
        return _array(kind, kind.element)
    if kind.category == "c" or (kind.name == "hstore" and not kind.is_builtin):
        return _JSON
    if not kind.is_builtin or kind.category != "b":
        return _TEXT
    if kind.name == "numeric":
        return _numeric(kind.modifier)
    return _BUILT_IN.get(kind.name, _TEXT)


def _numeric(modifier: int) -> _Reading:
    """Return how a ``numeric`` is read; only those that fit a DECIMAL are numbers for DuckDB."""
    found = decimal(modifier)
    if found is None:
        return _TEXT
    precision, scale = found
    declared = f"numeric({precision},{scale})"
    guarded = f"(CASE WHEN {{}} = 'NaN' THEN {{refuse}} ELSE {{}} END)::{declared}"
    return _Reading(type=f"DECIMAL({precision},{scale})", expression=guarded, is_sortable=True)


def decimal(modifier: int) -> tuple[int, int] | None:
    """Return precision and scale of a DECIMAL that holds every value, ``None`` if none does."""
    if modifier < 4:
        return None
    precision = (modifier - 4) >> 16
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    return (precision, scale) if precision <= _MAX_PRECISION else None


def _array(kind: PostgresType, element: PostgresType) -> _Reading:
    if kind.dimensions > 1 or element.category == "c":
        return _JSON
    if element.is_builtin and element.name in _ELEMENTS:
        return _list(_BUILT_IN[element.name].type, element.name)
    found = decimal(kind.modifier) if element.is_builtin and element.name == "numeric" else None
    if found is None:
        return _list("VARCHAR", "text")
    precision, scale = found
    declared = f"numeric({precision},{scale})"
    return _list(f"DECIMAL({precision},{scale})", declared, refused=" OR 'NaN' = ANY({})")


def _list(type_name: str, declared: str, *, refused: str = "") -> _Reading:
    """Return how an array is read: nothing but its declaration says how deep its values are."""
    expression = (
        f"(CASE WHEN array_ndims({{}}) > 1{refused} THEN ARRAY[{{refuse}}]::text[]::{declared}[] "
        f"ELSE {{}}::{declared}[] END)"
    )
    return _Reading(type=f"{type_name}[]", expression=expression)


def resolved(rows: dict[int, dict[str, Any]], oid: int, modifier: int, ndims: int) -> PostgresType:
    """Return the type ``oid`` from rows of ``pg_type``, looking through domains and arrays."""
    row = rows[oid]
    if row["typtype"] == "d":
        below = row["typtypmod"] if modifier < 0 else modifier
        return resolved(rows, row["typbasetype"], below, ndims or row["typndims"])
    element = None
    if row["typelem"] and row["typcategory"] == "A":
        element = resolved(rows, row["typelem"], modifier, 0)
    return PostgresType(
        name=row["typname"], category=row["typtype"], is_builtin=row["is_builtin"],
        modifier=modifier, dimensions=ndims, element=element,
    )  # fmt: skip
