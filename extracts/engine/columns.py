"""Which columns a served file may have: their names, their types, and what DuckDB calls them."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.sql import quote_identifier
from catalog.connectors import ColumnSpec

MAX_NAME_LENGTH = 255
MAX_COLUMNS = 5_000
# Each level of lists doubles the work of DuckDB, also for one row: at 24 it takes seconds.
MAX_DEPTH = 16

# Characters that make a name read differently from what it is: bidirectional embeddings,
# overrides, isolates and marks.
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class ColumnNameError(InvalidInputError):
    """A column has a name that cannot be served."""

    code = "column_name_invalid"
    hint = "Rename the column at its source."


class TooManyColumnsError(InvalidInputError):
    """A table has more columns than can be served."""

    code = "columns_too_many"
    hint = "Turn columns into rows at the source, or make several tables of them."


class ColumnTypeError(InvalidInputError):
    """A column has a type that a Parquet file for DuckDB cannot hold without loss."""

    code = "column_type_unsupported"
    hint = "Convert the column at its source, for example to text."


def check_names(names: list[str]) -> None:
    """Refuse names that readers would confuse or cannot use.

    Raises:
        ColumnNameError: a name is empty, too long, given twice (case does not count) or holds
            a control character; or there is no column at all.
        TooManyColumnsError: there are more than can be served.
    """
    if len(names) > MAX_COLUMNS:
        raise TooManyColumnsError(
            f"The table has {len(names):,} columns; {MAX_COLUMNS:,} at most can be served."
        )
    if not names:
        raise ColumnNameError("The table has no columns.", hint="Check the source of this table.")
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        _check_name(name, number)
        first = seen.setdefault(name.lower(), number)
        if first != number:
            raise ColumnNameError(
                f"Columns {first} and {number} are both named {name!r} (case does not count).",
                column=name,
            )


def _check_name(name: str, number: int) -> None:
    if not name.strip():
        raise ColumnNameError(f"Column {number} has no name.", column=name)
    if len(name) > MAX_NAME_LENGTH:
        raise ColumnNameError(
            f"The name of column {number} is longer than {MAX_NAME_LENGTH} characters: "
            f"{name[:40]!r}….",
            column=name[:MAX_NAME_LENGTH],
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ColumnNameError(
            f"The name of column {number} holds a control character: {name!r}.",
            column=ascii(name),
        )
    if not BIDI.isdisjoint(name):
        raise ColumnNameError(
            f"The name of column {number} holds a character that changes the direction of "
            f"writing: {name!a}.",
            column=ascii(name),
        )


def check_columns(schema: pa.Schema) -> None:
    """Refuse columns that cannot be served.

    Raises:
        ColumnNameError, TooManyColumnsError: see :func:`check_names`.
        ColumnTypeError: a column is nested too deeply.
    """
    check_names(schema.names)
    for field in schema:
        check_depth(field.name, _depth(field.type))


def check_depth(column: str, depth: int) -> None:
    """Refuse a column of that many levels of lists, maps and structs, if they are too many.

    Raises:
        ColumnTypeError: they are.
    """
    if depth > MAX_DEPTH:
        raise ColumnTypeError(
            f"Column {column!r} is nested {depth} levels deep; {MAX_DEPTH} at most can be served.",
            hint="Flatten the column at its source, or convert it to text.",
            column=column,
        )


def _depth(kind: Any) -> int:
    if not pa.types.is_nested(kind):
        return 0
    return 1 + max((_depth(kind.field(i).type) for i in range(kind.num_fields)), default=0)


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema in which columns like these are stored.

    The same logical type is always stored the same way, whatever Arrow layout it arrives in:
    dictionaries are decoded, long and short offsets become one, time zones become UTC.

    Raises:
        ColumnNameError, TooManyColumnsError: see :func:`check_names`.
        ColumnTypeError: a column has a type that cannot be stored without loss, or is nested
            too deeply.
    """
    check_columns(schema)
    return pa.schema([pa.field(each.name, _canonical(each.type, each.name)) for each in schema])


# What has one canonical type, whatever its parameters are.
_PLAIN: tuple[tuple[Any, pa.DataType], ...] = (
    (pa.types.is_null, pa.int32()),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_date64, pa.date32()),
)


def _canonical(kind: Any, column: str) -> pa.DataType:
    for is_kind, plain in _PLAIN:
        if is_kind(kind):
            return plain
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, "UTC" if kind.tz else None)
    if pa.types.is_time32(kind):
        return pa.time32("ms")
    if pa.types.is_decimal(kind):
        return _canonical_decimal(kind, column)
    if isinstance(kind, pa.BaseExtensionType):
        is_known = kind.extension_name in ("arrow.uuid", "arrow.json")
        return kind if is_known else _canonical(kind.storage_type, column)
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or hasattr(kind, "value_type"):
        return _canonical_nested(kind, column)
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise _unsupported(kind, column)
    return kind  # type: ignore[no-any-return]  # booleans, numbers, text, bytes, dates


def _canonical_decimal(kind: Any, column: str) -> pa.DataType:
    if kind.precision > 38:
        raise _unsupported(kind, column)
    return pa.decimal128(kind.precision, kind.scale)


def _canonical_nested(kind: Any, column: str) -> pa.DataType:
    if pa.types.is_struct(kind):
        if kind.num_fields == 0:
            raise _unsupported(kind, column)
        return pa.struct([pa.field(each.name, _canonical(each.type, column)) for each in kind])
    if pa.types.is_map(kind):
        return pa.map_(_canonical(kind.key_type, column), _canonical(kind.item_type, column))
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _canonical(kind.value_type, column)
    if pa.types.is_union(kind):
        raise _unsupported(kind, column)
    return pa.list_(_canonical(kind.value_type, column))


def _unsupported(kind: Any, column: str) -> ColumnTypeError:
    return ColumnTypeError(
        f"Column {column!r} has a type that cannot be stored: {kind}.",
        column=column,
        type=str(kind),
    )


_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
}


def duckdb_type(kind: Any) -> str:
    """Return what DuckDB calls a column of this Arrow type when it reads it from Parquet."""
    if kind in _NAMES:
        return _NAMES[kind]
    if isinstance(kind, pa.BaseExtensionType):
        names = {"arrow.uuid": "UUID", "arrow.json": "JSON"}
        return names.get(kind.extension_name) or duckdb_type(kind.storage_type)
    if pa.types.is_timestamp(kind):
        if kind.tz:
            return "TIMESTAMP WITH TIME ZONE"
        return "TIMESTAMP_NS" if kind.unit == "ns" else "TIMESTAMP"
    if pa.types.is_time(kind):
        return "TIME_NS" if kind.unit == "ns" else "TIME"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_fixed_size_binary(kind):
        return "BLOB"
    return _nested_duckdb_type(kind)


def _nested_duckdb_type(kind: Any) -> str:
    if pa.types.is_struct(kind):
        fields = ", ".join(
            f"{quote_identifier(each.name)} {duckdb_type(each.type)}" for each in kind
        )
        return f"STRUCT({fields})"
    if pa.types.is_map(kind):
        return f"MAP({duckdb_type(kind.key_type)}, {duckdb_type(kind.item_type)})"
    if hasattr(kind, "value_type"):
        return f"{duckdb_type(kind.value_type)}[]"
    return str(kind).upper()


def column_specs(schema: pa.Schema) -> tuple[ColumnSpec, ...]:
    """Describe the columns of a stored schema as DuckDB will."""
    return tuple(ColumnSpec(name=each.name, type=duckdb_type(each.type)) for each in schema)


def schema_hash(columns: Iterable[ColumnSpec]) -> str:
    """Return a hash (hex) of the names and types of ``columns`` in their order."""
    pairs = [[column.name, column.type] for column in columns]
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()
