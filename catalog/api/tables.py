"""The tables, as their readers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from agnes_site.core.paging import Paging
from catalog.models import Incident, Table

router = Router(tags=["catalog"])


class ColumnOut(Schema):
    """One column of a table."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "amount", "type": "DECIMAL(12,2)", "nullable": False,
                "description": "What was paid, in US dollars.",
            }
        }
    )  # fmt: skip

    name: str
    type: str = Field(description="DuckDB type name.")
    nullable: bool
    description: str


class TableOut(Schema):
    """A table as its readers see it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "orders", "name": "orders", "display_name": "Orders",
                "description": "One row an order.", "source": "shop", "source_type": "files",
                "folder": "sales", "sync_strategy": "full_refresh", "query_mode": "local",
                "rows": 1000, "size_bytes": 24147, "updated": "2026-01-01T00:00:00Z",
                "version": 3, "incidents": 0, "columns": [],
            }
        }
    )  # fmt: skip

    id: str = Field(description="The table's one name; the same as `name`.")
    name: str
    display_name: str
    description: str
    source: str = Field(description="Name of the source it comes from.")
    source_type: str
    folder: str | None
    sync_strategy: str
    query_mode: str
    rows: int | None = Field(description="Rows of the version in service; null without one.")
    size_bytes: int | None
    updated: datetime | None = Field(description="When the version in service was published.")
    version: int | None
    incidents: int = Field(description="Open incidents: why newer data is held back.")
    columns: list[ColumnOut]

    @staticmethod
    def resolve_id(table: Table) -> str:
        return table.name

    @staticmethod
    def resolve_source(table: Table) -> str:
        return table.source.slug

    @staticmethod
    def resolve_source_type(table: Table) -> str:
        return table.source.source_type

    @staticmethod
    def resolve_folder(table: Table) -> str | None:
        return table.folder.slug if table.folder else None

    @staticmethod
    def resolve_rows(table: Table) -> int | None:
        return table.current_version.rows if table.current_version else None

    @staticmethod
    def resolve_size_bytes(table: Table) -> int | None:
        return table.current_version.bytes if table.current_version else None

    @staticmethod
    def resolve_updated(table: Table) -> datetime | None:
        return table.current_version.created_at if table.current_version else None

    @staticmethod
    def resolve_version(table: Table) -> int | None:
        return table.current_version.number if table.current_version else None

    @staticmethod
    def resolve_incidents(table: Table) -> int:
        return len(table.incidents.all())

    @staticmethod
    def resolve_columns(table: Table) -> list[Any]:
        return list(table.columns.all())


class TablesOut(Schema):
    """A list of tables."""

    tables: list[TableOut]
    count: int = Field(description="How many there are on all pages.")


class CatalogIn(Paging):
    """What to list."""

    source: str = Field("", description="Only the tables of the source with this name.")


@router.get("/catalog/tables", response=TablesOut, operation_id="list_tables")
def list_tables(request: AuthedRequest, wanted: Query[CatalogIn]) -> TablesOut:
    """List the tables the caller may read."""
    tables = shown(Table.objects.readable_by(request.user))
    if wanted.source:
        tables = tables.filter(source__slug__iexact=wanted.source)
    found: list[Any] = wanted.of(tables)  # as objects of the schema
    return TablesOut(tables=found, count=wanted.total(tables, found))


def shown(tables: QuerySet[Table]) -> QuerySet[Table]:
    """Return the tables with what is shown of them; of their incidents only the open ones."""
    return (
        tables.select_related("source", "folder", "current_version")
        .prefetch_related("columns", Prefetch("incidents", Incident.objects.waiting()))
        .order_by("name")
    )
