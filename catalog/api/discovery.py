"""What an agent asks before it writes a query: which tables, which columns, how to reach them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from catalog.api.tables import ColumnOut
from catalog.connectors import QueryMode
from catalog.models import Table
from catalog.services import registry

router = Router(tags=["catalog"])
admin_router = Router(tags=["registry"])

_MIB = 1024**2
_SIZES = ((100 * _MIB, "small"), (1024 * _MIB, "medium"), (10 * 1024 * _MIB, "large"))


class EntryOut(Schema):
    """A table, and how its rows are reached."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "orders", "name": "orders", "description": "One row an order.",
                "source_type": "files", "query_mode": "local", "sql_flavor": "duckdb",
                "where_examples": [], "fetch_via": "local after `agnes pull`: …",
                "rough_size_hint": "small", "rows": 1000, "size_bytes": 24147,
                "partition_by": None, "clustered_by": [], "entity_type": None,
                "metadata_freshness": "not_applicable",
            }
        }
    )  # fmt: skip

    id: str
    name: str
    description: str
    source_type: str
    query_mode: str
    sql_flavor: str = Field(description="Dialect that queries on it are written in.")
    where_examples: list[str]
    fetch_via: str = Field(description="What to do to query it.")
    rough_size_hint: str | None = Field(
        description="small (to 100 MiB), medium (to 1 GiB), large (to 10 GiB) or very_large."
    )
    rows: int | None
    size_bytes: int | None
    partition_by: str | None
    clustered_by: list[str]
    entity_type: str | None
    metadata_freshness: str


class EntriesOut(Schema):
    """All tables that the caller may read."""

    tables: list[EntryOut]
    server_time: datetime = Field(description="When the server answered.")


class TableSchemaOut(Schema):
    """The columns of a table."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "table_id": "orders", "source_type": "files", "sql_flavor": "duckdb",
                "columns": [], "partition_by": None, "clustered_by": [],
                "where_dialect_hints": {},
            }
        }
    )  # fmt: skip

    table_id: str
    source_type: str
    sql_flavor: str
    columns: list[ColumnOut]
    partition_by: str | None
    clustered_by: list[str]
    where_dialect_hints: dict[str, str]


class ColumnNoteOut(Schema):
    """What somebody wrote about a column."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "column_name": "amount", "basetype": "DECIMAL(12,2)",
                "description": "What was paid, in US dollars.", "source": "admin",
            }
        }
    )  # fmt: skip

    column_name: str
    basetype: str
    description: str
    source: str


class ColumnNotesOut(Schema):
    """The columns of a table that somebody described."""

    table_id: str = Field(description="Name of the table.")
    columns: list[ColumnNoteOut]


@router.get("/v2/catalog", response=EntriesOut, operation_id="get_catalog")
def get_catalog(request: AuthedRequest) -> EntriesOut:
    """List the tables the caller may read, with how to query each."""
    tables = Table.objects.readable_by(request.user).select_related("source", "current_version")
    return EntriesOut(
        tables=[_entry(table) for table in tables.order_by("name")], server_time=timezone.now()
    )


@router.get("/v2/schema/{name}", response=TableSchemaOut, operation_id="get_table_schema")
def get_table_schema(request: AuthedRequest, name: str) -> dict[str, Any]:
    """Return the columns of a table, of its current version."""
    table = registry.find_table(name, among=Table.objects.readable_by(request.user))
    return {
        "table_id": table.name,
        "source_type": table.source.source_type,
        "sql_flavor": "duckdb",
        "columns": list(table.columns.all()),
        "partition_by": table.partition_by or None,
        "clustered_by": [],
        "where_dialect_hints": {},
    }


@admin_router.get("/metadata/{name}", response=ColumnNotesOut, operation_id="get_column_notes")
def get_column_notes(request: HttpRequest, name: str) -> ColumnNotesOut:
    """Return what was written about the columns of a table."""
    table = registry.find_table(name)
    return ColumnNotesOut(
        table_id=table.name,
        columns=[
            ColumnNoteOut(
                column_name=column.name, basetype=column.type, description=column.description,
                source=column.description_source,
            )
            for column in table.columns.exclude(description="")
        ],
    )  # fmt: skip


def _entry(table: Table) -> EntryOut:
    version = table.current_version
    size = version.bytes if version else None
    return EntryOut(
        id=table.name, name=table.name, description=table.description,
        source_type=table.source.source_type, query_mode=_mode(table), sql_flavor="duckdb",
        where_examples=[], fetch_via=_way_to(table), rough_size_hint=_size_hint(size),
        rows=version.rows if version else None, size_bytes=size,
        partition_by=table.partition_by or None, clustered_by=[], entity_type=None,
        metadata_freshness="not_applicable",
    )  # fmt: skip


def _mode(table: Table) -> str:
    # As in the manifest: what never leaves the server is remote to a client.
    return QueryMode.REMOTE if table.server_only else table.query_mode


def _way_to(table: Table) -> str:
    if _mode(table) == QueryMode.REMOTE:
        return "not copied: its rows stay on the server"
    if table.current_version is None:
        return "not extracted yet: it has no rows"
    return "local after `agnes pull`: query it with `agnes query`"


def _size_hint(size: int | None) -> str | None:
    if size is None:
        return None
    return next((name for limit, name in _SIZES if size <= limit), "very_large")
