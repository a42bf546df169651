"""Sources: listed, added, changed, removed. Secrets are written here and never read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from agnes_site.core.paging import LARGEST_OFFSET
from catalog import connectors
from catalog.api.secrets import SecretIn, SecretOut, shown
from catalog.models import Source
from catalog.services import removal, sources
from catalog.services.secrets import FORGOTTEN, NewSecret
from catalog.services.sources import find_source
from extracts.services import changing

router = Router(tags=["sources"])

_EXAMPLE: dict[str, Any] = {
    "name": "shop", "display_name": "Shop", "source_type": "files",
    "config": {"folder": "/data/shop"}, "schedule": "daily 07:00", "is_paused": False,
    "concurrency": 2, "secrets": [], "tables": 12, "created_at": "2026-01-01T08:00:00Z",
}  # fmt: skip


SecretsIn = dict[str, SecretIn | None]
_SECRETS: Any = Field(
    default_factory=dict,
    description="By key: a value to store, a variable to read, or null to forget it.",
)


class SourceOut(Schema):
    """A source."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    display_name: str
    source_type: str
    config: dict[str, Any]
    schedule: str
    is_paused: bool
    concurrency: int
    secrets: list[SecretOut]
    tables: int = Field(description="How many tables come from it.")
    created_at: datetime

    @staticmethod
    def resolve_name(source: Source) -> str:
        return source.slug

    @staticmethod
    def resolve_tables(source: Any) -> int:
        return int(source.tables_total)

    @staticmethod
    def resolve_secrets(source: Source) -> list[SecretOut]:
        return shown(source, {kept.key: kept for kept in source.secrets.all()})


class SourcesOut(Schema):
    """A page of the sources."""

    sources: list[SourceOut]
    count: int = Field(description="How many there are in all.")


class PageIn(Schema):
    """Which page."""

    limit: int = Field(100, ge=1, le=500, description="How many.")
    offset: int = Field(0, ge=0, le=LARGEST_OFFSET, description="How many to leave out before.")


class SourceFields(Schema):
    """What can be said of a source; in a change, what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    display_name: str = Field("", max_length=200, description="Shown to people.")
    config: dict[str, Any] = Field(
        default_factory=dict, description="Settings of its connector, whole; never a secret."
    )
    schedule: str = Field("", max_length=100, description="`every 6h`, `daily 07:00` (UTC).")
    is_paused: bool = Field(False, description="Whether it is left alone until resumed.")
    concurrency: int = Field(2, ge=1, le=1000, description="Runs of it at the same time.")
    secrets: SecretsIn = _SECRETS


class SourceIn(SourceFields):
    """A source to be added."""

    name: str = Field(max_length=64, description="Letters, digits and _; never changes.")
    source_type: str = Field(max_length=40, description="Which connector serves it.")


class SourceChangeIn(SourceFields):
    """A change of a source."""

    force: bool = Field(
        False, description="Save new settings without asking which tables they would break."
    )


class SourceChangedOut(Schema):
    """What was changed."""

    name: str = Field(description="Name of the source.")
    updated: list[str] = Field(description="Names of the fields that differ from before.")


class RemovalIn(Schema):
    """What goes with a source."""

    with_tables: bool = Field(False, description="Unregister its tables as well.")


class RemovedOut(Schema):
    """What was removed."""

    name: str = Field(description="Name of the source.")
    tables: list[str] = Field(description="Names of the tables that went with it.")


class SourceTypeOut(Schema):
    """A type of source that can be added."""

    source_type: str = Field(description="What to give as `source_type`.")
    display_name: str = Field(description="Shown to people.")
    config_schema: dict[str, Any] = Field(description="JSON schema of `config`.")
    secrets: dict[str, str] = Field(description="The secrets it takes, with their labels.")


@router.get("/source-types", response=list[SourceTypeOut], operation_id="list_source_types")
def list_source_types(request: HttpRequest) -> list[dict[str, Any]]:
    """List the types of sources that can be added, with what each has to be told."""
    return [
        {
            "source_type": each.source_type, "display_name": each.display_name,
            "config_schema": each.config_schema.model_json_schema(),
            "secrets": {key: field.label for key, field in each.secret_fields.items()},
        }
        for each in connectors.installed().values()
        if not each.is_foreign
    ]  # fmt: skip


@router.get("/sources", response=SourcesOut, operation_id="list_sources")
def list_sources(request: HttpRequest, page: Query[PageIn]) -> dict[str, Any]:
    """List the sources."""
    found = _shown().order_by("slug")[page.offset : page.offset + page.limit]
    return {"sources": list(found), "count": Source.objects.count()}


@router.post("/sources", response={201: SourceOut}, operation_id="add_source")
def add_source(request: AuthedRequest, data: SourceIn) -> Status[Source]:
    """Add a source; its connection can be tested before, at `/sources/test`."""
    fields = data.model_dump(exclude={"name", "secrets"}, exclude_unset=True)
    fields.setdefault("config", {})
    made = sources.add_source(
        slug=data.name, secrets=given(data.secrets), by=request.user, **fields
    )
    return Status(201, _shown().get(pk=made.pk))


@router.get("/sources/{name}", response=SourceOut, operation_id="get_source")
def get_source(request: HttpRequest, name: str) -> Source:
    """Return one source."""
    return find_source(name, among=_shown())


@router.patch("/sources/{name}", response=SourceChangedOut, operation_id="change_source")
def change_source(request: AuthedRequest, name: str, data: SourceChangeIn) -> dict[str, Any]:
    """Change what is given. With new settings the source is asked first whether it still has
    its tables: 409 lists those it would lose, unless `force` is true."""
    source = find_source(name)
    fields = data.model_dump(exclude={"secrets", "force"}, exclude_unset=True)
    changed = changing.change_source(
        source=source, by=request.user, force=data.force, given=given(data.secrets), **fields
    )
    return {"name": source.slug, "updated": [*changed, *(f"secrets.{k}" for k in data.secrets)]}


@router.delete("/sources/{name}", response=RemovedOut, operation_id="remove_source")
def remove_source(request: AuthedRequest, name: str, what: Query[RemovalIn]) -> dict[str, Any]:
    """Remove a source, and its tables where that is asked for."""
    source = find_source(name)
    gone = removal.remove_source(source=source, by=request.user, with_tables=what.with_tables)
    return {"name": source.slug, "tables": gone}


def given(written: Mapping[str, SecretIn | None]) -> dict[str, NewSecret]:
    """Return the secrets of a request as services take them."""
    return {key: FORGOTTEN if value is None else value.new() for key, value in written.items()}


def _shown() -> QuerySet[Source]:
    return Source.objects.annotate(tables_total=Count("tables")).prefetch_related("secrets")
