"""Which SQL brings a column of SQLite without loss, and what comes of it.

A column of SQLite has a declared type and values of any. DuckDB is handed text for all of them
(numbers with all of their digits, bytes in hexadecimal), and a text that it cannot convert
where a value is not of the declared type.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.connectors import ColumnSpec
from extracts.connectors.database.relation import SourceColumn

# The name by which queries know the table, so that columns are not mistaken for results.
SOURCE = "source"

# What stands for a value that is not of its column's type: a text that no table holds.
UNREADABLE = f"agnes cannot read {secrets.token_hex(8)}"
_REFUSE = quote_literal(UNREADABLE)
_DAY = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """``expression`` has ``{}`` for the column."""

    expression: str
    cast: str = "{}"
    is_sortable: bool = False


_AS_TEXT = (
    "CASE typeof({}) WHEN 'blob' THEN hex({}) WHEN 'real' THEN printf('%!.17g', {}) ELSE {} END"
)
_READINGS = {
    "BIGINT": _Reading(
        expression=f"CASE typeof({{}}) WHEN 'integer' THEN {{}} WHEN 'null' THEN NULL "
        f"ELSE {_REFUSE} END",
        cast="{}::BIGINT",
        is_sortable=True,
    ),
    # An integer of more than 53 bits would be rounded.
    "DOUBLE": _Reading(
        expression="CASE WHEN typeof({}) = 'real' THEN printf('%!.17g', {}) "
        "WHEN typeof({}) = 'integer' AND abs({} / 2) <= 4503599627370496 THEN {} "
        f"WHEN {{}} IS NULL THEN NULL ELSE {_REFUSE} END",
        cast="{}::DOUBLE",
    ),
    "BOOLEAN": _Reading(
        expression="CASE WHEN {} IS NULL THEN NULL "
        "WHEN typeof({}) = 'integer' AND {} IN (0, 1) THEN {} "
        f"WHEN typeof({{}}) = 'text' AND lower({{}}) IN ('true', 'false') THEN {{}} "
        f"ELSE {_REFUSE} END",
        cast="{}::BOOLEAN",
    ),
    "DATE": _Reading(
        expression="CASE WHEN {} IS NULL THEN NULL "
        f"WHEN typeof({{}}) = 'text' AND {{}} GLOB {_DAY}' THEN {{}} ELSE {_REFUSE} END",
        cast="{}::DATE",
        is_sortable=True,
    ),
    "TIMESTAMP": _Reading(
        expression="CASE WHEN {} IS NULL THEN NULL "
        f"WHEN typeof({{}}) = 'text' AND {{}} GLOB {_DAY}*' THEN {{}} ELSE {_REFUSE} END",
        cast="{}::TIMESTAMP",
    ),
    "BLOB": _Reading(
        expression="CASE typeof({}) WHEN 'blob' THEN hex({}) WHEN 'text' THEN hex({}) "
        f"WHEN 'null' THEN NULL ELSE {_REFUSE} END",
        cast="unhex({})",
        is_sortable=False,
    ),
    "VARCHAR": _Reading(
        expression=f"CASE typeof({{}}) WHEN 'blob' THEN {_REFUSE} "
        "WHEN 'real' THEN printf('%!.17g', {}) ELSE {} END",
        cast=f"CASE WHEN {{}} = {_REFUSE} THEN error({_REFUSE}) ELSE {{}} END",
        is_sortable=True,
    ),
}


def source_column(
    name: str, type_name: str, *, nullable: bool = True, as_text: bool = False
) -> SourceColumn:
    """Return how a column is read as a type of DuckDB, or as text whatever it holds."""
    reading = _Reading(expression=_AS_TEXT) if as_text else _READINGS[type_name]
    spec = ColumnSpec(name=name, type="VARCHAR" if as_text else type_name, nullable=nullable)
    return SourceColumn(
        spec=spec,
        kind="" if as_text else type_name,
        expression=reading.expression.replace("{}", qualified(name)),
        cast=reading.cast,
        is_sortable=reading.is_sortable,
    )


def qualified(name: str) -> str:
    """Return a column of the table that is read, and not one of the result."""
    return f"{SOURCE}.{quote_identifier(name)}"


def declared_type(declared: str) -> str:
    """Return the type for what a table declares by SQLite's own rules; empty if it says nothing."""
    words = declared.upper()
    if not words.strip():
        return ""
    if "BOOL" in words:
        return "BOOLEAN"
    if "DATETIME" in words or "TIMESTAMP" in words:
        return "TIMESTAMP"
    if words.strip() == "DATE":
        return "DATE"
    for part, type_name in _AFFINITIES:
        if part in words:
            return type_name
    return "DOUBLE" if words.startswith(("NUM", "DEC")) else "VARCHAR"


_AFFINITIES = (
    ("INT", "BIGINT"), ("CHAR", "VARCHAR"), ("CLOB", "VARCHAR"), ("TEXT", "VARCHAR"),
    ("BLOB", "BLOB"), ("REAL", "DOUBLE"), ("FLOA", "DOUBLE"), ("DOUB", "DOUBLE"),
)  # fmt: skip


def found_type(kinds: set[str]) -> str:
    """Return the type that holds values of these storage classes; empty if only text does."""
    kinds = kinds - {"null"}
    if kinds == {"integer"}:
        return "BIGINT"
    if kinds and kinds <= {"integer", "real"}:
        return "DOUBLE"
    if kinds == {"blob"}:
        return "BLOB"
    return "VARCHAR" if kinds <= {"text"} else ""
