"""The registry, for administrators: tables registered, changed, unregistered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field, field_validator

from access.auth import AuthedRequest
from agnes_site.core.errors import InvalidInputError
from agnes_site.core.paging import Paging
from catalog import connectors, queries
from catalog.api.tables import TableOut, shown
from catalog.connectors import DriftPolicy, QueryMode, SyncStrategy
from catalog.models import Source, Table
from catalog.services import registry, sources, timing
from catalog.services.sources import SourceNotFoundError

admin_router = Router(tags=["registry"])

_CENTURY_DAYS = 36_525


class SourceUnknownError(InvalidInputError):
    """A table is to come from a source that is not there."""

    code = "source_unknown"
    hint = SourceNotFoundError.hint


class RegistrationFields(Schema):
    """What can be said of a table; all optional in an update, where null clears."""

    model_config = ConfigDict(extra="forbid")

    display_name: str | None = Field(None, description="Shown to people in place of the name.")
    folder: str | None = Field(None, description="Grouping; made when there is none of that name.")
    description: str | None = Field(None, description="What a row is, for people and agents.")
    bucket: str | None = Field(None, description="Schema, dataset or bucket at the source.")
    source_table: str | None = Field(None, description="Name, file or pattern at the source.")
    source_query: str | None = Field(None, description="Query of a materialized table.")
    options: dict[str, Any] | None = Field(None, description="Settings for the connector.")
    query_mode: QueryMode | None = Field(None, description="Where its rows are when asked for.")
    sync_schedule: str | None = Field(
        None,
        description="`every 6h`, `daily 07:00` (UTC) or `cron 0 7 * * 1-5 Europe/Prague`; that "
        "of the source if empty.",
    )
    is_paused: bool | None = Field(None, description="Whether its schedule leaves it alone.")
    sync_strategy: SyncStrategy | None = Field(None, description="How it is brought up to date.")
    primary_key: list[str] | None = Field(None, description="A list, or names with commas.")
    incremental_column: str | None = Field(None, description="Says when a row was last changed.")
    incremental_window_days: int | None = Field(
        None, ge=0, le=_CENTURY_DAYS, description="Days before the last run that are brought again."
    )
    max_history_days: int | None = Field(
        None, ge=0, le=_CENTURY_DAYS, description="Days back that are brought."
    )
    initial_load_chunk_days: int | None = Field(
        None, ge=1, le=_CENTURY_DAYS, description="Days that one request of the first load brings."
    )
    partition_by: str | None = Field(None, description="Column that says which part a row is in.")
    partition_granularity: str | None = Field(None, description="`day`, `month` or `year`.")
    where_filters: list[dict[str, Any]] | None = Field(
        None, description="Conditions of which the connector brings the rows."
    )
    drift_policy: DriftPolicy | None = Field(
        None, description="What happens when the columns change at the source."
    )
    server_only: bool | None = Field(None, description="Whether its files stay on the server.")
    profile_after_sync: bool | None = Field(None, description="Accepted, without effect.")

    @field_validator("primary_key", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value

    def given(self) -> dict[str, Any]:
        """Return what was said, with null as the empty value of its kind."""
        values = self.model_dump(exclude_unset=True, mode="python")
        values.pop("profile_after_sync", None)
        for name in ("name", "source", "source_type"):
            values.pop(name, None)
        return {
            name: _CLEARED.get(name, "") if value is None else value
            for name, value in values.items()
        }


_CLEARED: dict[str, Any] = {
    "options": {}, "primary_key": [], "where_filters": [], "server_only": False, "is_paused": False,
    "query_mode": QueryMode.LOCAL, "sync_strategy": SyncStrategy.FULL_REFRESH,
    "drift_policy": DriftPolicy.EVOLVE, "incremental_window_days": None,
    "max_history_days": None, "initial_load_chunk_days": None,
}  # fmt: skip


class RegisterIn(RegistrationFields):
    """A table to be registered."""

    name: str = Field(description="Becomes the table's one name; made into a slug where needed.")
    source: str | None = Field(None, description="Name of the source.")
    source_type: str | None = Field(None, description="Enough where one source is of that type.")


class RegisteredOut(Schema):
    """What was registered."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "orders", "name": "orders", "status": "registered", "source": "shop",
                "view_name": "orders",
            }
        }
    )  # fmt: skip

    id: str
    name: str
    status: str
    source: str
    view_name: str


class UpdatedOut(Schema):
    """What was changed."""

    id: str = Field(description="Name of the table.")
    updated: list[str] = Field(description="Names of the fields that differ from before.")


class RegistryRowOut(TableOut):
    """A table as administrators see it."""

    bucket: str
    source_table: str
    source_query: str
    options: dict[str, Any]
    sync_schedule: str
    is_paused: bool
    last_success_at: datetime | None = Field(description="Start of its last run that succeeded.")
    next_run_at: datetime | None = Field(description="Null if it runs only when asked for.")
    next_try_at: datetime | None = Field(
        description="When it is tried again, as its source failed or it was passed over."
    )
    primary_key: list[str]
    incremental_column: str
    incremental_window_days: int | None
    max_history_days: int | None
    initial_load_chunk_days: int | None
    partition_by: str
    partition_granularity: str
    where_filters: list[dict[str, Any]]
    drift_policy: str
    server_only: bool
    is_pinned: bool
    registered_at: datetime
    registered_by: str | None = Field(description="E-mail of who registered it.")
    last_sync_error: str | None = Field(description="Message of the open incident, if any.")

    @staticmethod
    def resolve_next_try_at(table: Table) -> datetime | None:
        return table.retry_at

    @staticmethod
    def resolve_registered_by(table: Table) -> str | None:
        return table.registered_by.email if table.registered_by else None

    @staticmethod
    def resolve_last_sync_error(table: Table) -> str | None:
        found = list(table.incidents.all())
        return found[0].message if found else None


class RegistryOut(Schema):
    """All registered tables."""

    tables: list[RegistryRowOut]
    count: int = Field(description="How many there are on all pages.")


class PrecheckOut(Schema):
    """What would be registered."""

    ok: bool = Field(description="Always true: what could not be registered is an error.")
    table: dict[str, Any] = Field(description="The table as it would be.")


@admin_router.get("/registry", response=RegistryOut, operation_id="list_registry")
def list_registry(request: HttpRequest, wanted: Query[Paging]) -> RegistryOut:
    """List all registered tables."""
    tables = shown(Table.objects.select_related("registered_by"))
    found: list[Any] = wanted.of(tables)  # as objects of the schema
    planned = timing.next_runs(found, now=timezone.now())
    for table in found:
        table.next_run_at = planned.get(table.pk)
    return RegistryOut(tables=found, count=wanted.total(tables, found))


@admin_router.post("/register-table", response={201: RegisteredOut}, operation_id="register_table")
def register_table(request: AuthedRequest, data: RegisterIn) -> Status[RegisteredOut]:
    """Add a table to the registry. It has no rows until it is extracted, and no readers until
    it is granted."""
    source, fields = _source_of(data), data.given()
    queries.check(source=source, fields=fields)
    table = registry.register_table(source=source, name=data.name, by=request.user, **fields)
    return Status(
        201,
        RegisteredOut(
            id=table.name, name=table.name, status="registered", source=table.source.slug,
            view_name=table.name,
        ),
    )  # fmt: skip


@admin_router.post("/register-table/precheck", response=PrecheckOut, operation_id="precheck_table")
def precheck_table(request: AuthedRequest, data: RegisterIn) -> PrecheckOut:
    """Say whether a table could be registered like this; nothing is kept."""
    source, fields = _source_of(data), data.given()
    table = registry.precheck_table(source=source, name=data.name, **fields)
    queries.check(source=source, fields=fields)
    return PrecheckOut(
        ok=True,
        table={
            "name": table.name, "source_type": source.source_type, "source": source.slug,
            "bucket": table.bucket, "source_table": table.source_table, "rows": None,
            "size_bytes": None, "columns": [], "column_count": 0,
        },
    )  # fmt: skip


@admin_router.put("/registry/{name}", response=UpdatedOut, operation_id="update_table")
def update_table(request: AuthedRequest, name: str, data: RegistrationFields) -> UpdatedOut:
    """Change what is given; what is left out stays, null clears."""
    table = registry.find_table(name)
    fields = data.given()
    queries.check(source=table.source, fields=fields, table=table)
    changed = registry.update_table(table=table, by=request.user, **fields)
    return UpdatedOut(id=table.name, updated=changed)


@admin_router.delete("/registry/{name}", response={204: None}, operation_id="unregister_table")
def unregister_table(request: AuthedRequest, name: str) -> HttpResponse:
    """Remove a table with its versions and grants."""
    registry.unregister_table(table=registry.find_table(name), by=request.user)
    return HttpResponse(status=204)


def _source_of(data: RegisterIn) -> Source:
    if data.source:
        try:
            return sources.find_source(data.source)
        except SourceNotFoundError as error:
            raise SourceUnknownError(error.message) from None
    if data.source_type:
        return registry.sole_source(data.source_type)
    known = sorted(connectors.installed())
    raise registry.TableInvalidError(
        "Say which source the table comes from.", hint="Give `source`.", source_types=known
    )
