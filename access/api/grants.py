"""Grants, and what can be granted, for administrators."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access import resources
from access.api.groups import find_group
from access.auth import AuthedRequest
from access.models import Grant, Tier
from access.services import grants
from agnes_site.core.errors import NotFoundError
from agnes_site.core.paging import Paging

router = Router(tags=["grants"])


class GrantNotFoundError(NotFoundError):
    """There is no such grant."""

    code = "grant_not_found"


class ResourceTypeOut(Schema):
    """A class of things that can be granted."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "key": "table", "display_name": "Table", "description": "One table.",
                "id_format": "<table>",
            }
        }
    )  # fmt: skip

    key: str
    display_name: str
    description: str
    id_format: str


class GrantFilters(Paging):
    """Which grants to list."""

    resource_type: str = Field("", description="Only grants on things of this type.")
    group_id: UUID | None = Field(None, description="Only grants of this group.")


class GrantIn(Schema):
    """A grant to be given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "group_id": "8c8c3bd4-5623-4387-aa59-63e0dce4c261",
                "resource_type": "table", "resource_id": "orders",
            }
        },
    )  # fmt: skip

    group_id: UUID
    resource_type: str = Field(description="`table`, `folder`, `source`, …")
    resource_id: str = Field(description="Name of that thing.")
    tier: Tier = Field(Tier.REQUIRED, description="How tables reach the laptops of the group.")
    expires_at: datetime | None = Field(None, description="The grant ends at this time.")


class GrantOut(Schema):
    """What the members of a group may use."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "8e1dc0d0-c65a-460b-8733-f319bf62c4d0",
                "group_id": "8c8c3bd4-5623-4387-aa59-63e0dce4c261", "group_name": "Finance",
                "resource_type": "table", "resource_id": "orders", "tier": "required",
                "expires_at": None, "assigned_at": "2026-01-01T08:00:00Z",
                "assigned_by": "ada@example.com",
            }
        }
    )  # fmt: skip

    id: UUID
    group_id: UUID
    group_name: str
    resource_type: str
    resource_id: str
    tier: str
    expires_at: datetime | None
    assigned_at: datetime
    assigned_by: str | None = Field(description="E-mail of who gave it.")

    @staticmethod
    def resolve_group_name(given: Grant) -> str:
        return given.group.name

    @staticmethod
    def resolve_assigned_at(given: Grant) -> datetime:
        return given.created_at

    @staticmethod
    def resolve_assigned_by(given: Grant) -> str | None:
        return given.created_by.email if given.created_by else None


@router.get("/resource-types", response=list[ResourceTypeOut], operation_id="list_resource_types")
def list_resource_types(request: HttpRequest) -> list[resources.ResourceType]:
    """List the classes of things that can be granted."""
    return list(resources.registered().values())


@router.get("/grants", response=list[GrantOut], operation_id="list_grants")
def list_grants(request: HttpRequest, wanted: Query[GrantFilters]) -> list[Grant]:
    """List grants, expired ones too."""
    found = Grant.objects.select_related("group", "created_by")
    if wanted.resource_type:
        found = found.filter(resource_type=resources.known_type(wanted.resource_type).key)
    if wanted.group_id is not None:
        found = found.filter(group_id=wanted.group_id)
    return wanted.of(found)


@router.post("/grants", response={201: GrantOut}, operation_id="create_grant")
def create_grant(request: AuthedRequest, data: GrantIn) -> Status[Grant]:
    """Let the members of a group use something; at their next request they can."""
    given = grants.grant(
        group=find_group(data.group_id),
        resource_type=data.resource_type,
        resource_id=data.resource_id,
        tier=data.tier,
        expires_at=data.expires_at,
        by=request.user,
    )
    return Status(201, given)


@router.delete("/grants/{grant_id}", response={204: None}, operation_id="delete_grant")
def delete_grant(request: AuthedRequest, grant_id: UUID) -> HttpResponse:
    """Take a grant away; at their next request the members of the group have lost it."""
    given = Grant.objects.select_related("group").filter(pk=grant_id).first()
    if given is None:
        raise GrantNotFoundError(f"There is no grant {grant_id}.")
    grants.revoke(given=given, by=request.user)
    return HttpResponse(status=204)
