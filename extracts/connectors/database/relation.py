"""What is read of a database: columns with the SQL that brings them without loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from agnes_site.core.sql import quote_identifier
from catalog.connectors import ColumnSpec
from extracts.connectors.database.errors import UpstreamMissingError
from extracts.engine.columns import check_names
from extracts.engine.keys import spelled_key


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column and how it is read.

    ``kind`` is what the database calls its type. ``expression`` is SQL of the database, ``cast``
    is SQL of DuckDB with ``{}`` for the column that comes of it. ``is_sortable`` says that the
    database sorts it as Arrow does.
    """

    spec: ColumnSpec
    kind: str
    expression: str
    cast: str = "{}"
    is_sortable: bool = False

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table, view or query: ``origin`` is SQL of the database that stands behind FROM."""

    label: str
    origin: str
    columns: tuple[SourceColumn, ...]
    is_query: bool = False

    def __post_init__(self) -> None:
        check_names([column.name for column in self.columns])

    def column(self, name: str, *, role: str) -> SourceColumn:
        """Return a column by its name, in whatever case.

        Raises:
            UpstreamMissingError: there is none.
        """
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise UpstreamMissingError(
            f"{self.label} has no column {name!r}, which is named as {role}.", column=name
        )

    def key(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of a primary key as the database spells them."""
        return spelled_key(wanted, [column.name for column in self.columns])

    def descriptions(self) -> dict[str, str]:
        """Return what the database says of its columns, by name."""
        return {
            column.name: column.spec.description
            for column in self.columns
            if column.spec.description
        }

    def notes(self) -> tuple[str, ...]:
        """Say which numbers are text, because no type for numbers holds each of them exactly."""
        inexact = [
            column.name
            for column in self.columns
            if column.kind == "numeric" and column.spec.type == "VARCHAR"
        ]
        if not inexact:
            return ()
        return (
            f"Read as text, since numeric without a precision (or of more than 38 digits) has "
            f"no exact type: {', '.join(inexact)}.",
        )

    def only(self, names: tuple[str, ...]) -> Relation:
        """Return the same relation with some of its columns."""
        kept = tuple(column for column in self.columns if column.name in names)
        return replace(self, columns=kept)


def duckdb_select(relation: Relation, upstream: str) -> str:
    """Return DuckDB's query over ``upstream``, which gives the columns as the database has them."""
    items = []
    for column in relation.columns:
        quoted = quote_identifier(column.name)
        items.append(f"{column.cast.replace('{}', quoted)} AS {quoted}")
    return f"SELECT {', '.join(items)} FROM {upstream}"  # noqa: S608  quoted


def typed(rows: pa.RecordBatchReader, relation: Relation) -> pa.RecordBatchReader:
    """Return ``rows`` with the types that DuckDB does not hand to Arrow: UUID and JSON."""
    schema = pa.schema(
        [
            pa.field(column.name, _ARROW.get(column.spec.type, field.type))
            for column, field in zip(relation.columns, rows.schema, strict=True)
        ]
    )
    if schema.equals(rows.schema):
        return rows
    return pa.RecordBatchReader.from_batches(schema, _typed(rows, schema))


_ARROW: dict[str, Any] = {"UUID": pa.uuid(), "JSON": pa.json_()}


def _typed(rows: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        columns = [
            _as(column, field.type) for column, field in zip(batch.columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _as(column: Any, kind: Any) -> Any:
    if not isinstance(kind, pa.BaseExtensionType):
        return column
    return pa.ExtensionArray.from_storage(kind, column.cast(kind.storage_type))
