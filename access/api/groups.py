"""Groups and their members, for administrators."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.api.users import find_user
from access.auth import AuthedRequest
from access.models import EVERYONE, Grant, Group, Membership, User
from access.services import groups
from agnes_site.core.errors import NotFoundError
from agnes_site.core.paging import Paging

router = Router(tags=["groups"])


class GroupNotFoundError(NotFoundError):
    """There is no such group."""

    code = "group_not_found"


class MemberNotFoundError(NotFoundError):
    """The user is not in this group."""

    code = "member_not_found"


class GroupIn(Schema):
    """A group to be made."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Finance"}})

    name: str = Field(max_length=100, description="Unique, compared without case.")
    description: str | None = Field(None, max_length=500)


class GroupOut(Schema):
    """A group, with the numbers of its members and grants."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "8c8c3bd4-5623-4387-aa59-63e0dce4c261", "name": "Finance",
                "description": "Finance team", "is_system": False, "origin": "custom",
                "created_at": "2026-01-01T08:00:00Z", "member_count": 4, "grant_count": 12,
            }
        }
    )  # fmt: skip

    id: UUID
    name: str
    description: str
    is_system: bool = Field(description="Whether it is Admin or Everyone.")
    origin: str = Field(description="`system` or `custom`.")
    created_at: datetime
    member_count: int = Field(description="Of Everyone: all active users.")
    grant_count: int

    @staticmethod
    def resolve_origin(group: Group) -> str:
        return "system" if group.is_system else "custom"


class MemberIn(Schema):
    """Somebody to be put into a group."""

    email: str = Field(description="Compared without case.")


class MemberOut(Schema):
    """Somebody in a group, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "user_id": "29de9763-801a-4d54-9d44-fe0490e10f39", "email": "ana@example.com",
                "name": "Ana", "active": True, "source": "admin",
                "added_at": "2026-01-01T08:00:00Z", "added_by": "ada@example.com",
            }
        }
    )  # fmt: skip

    user_id: UUID
    email: str
    name: str
    active: bool
    source: str = Field(description="Why: `admin`, `system_seed`, …")
    added_at: datetime
    added_by: str | None = Field(description="E-mail of who added them.")

    @staticmethod
    def resolve_email(membership: Membership) -> str:
        return membership.user.email

    @staticmethod
    def resolve_name(membership: Membership) -> str:
        return membership.user.name

    @staticmethod
    def resolve_active(membership: Membership) -> bool:
        return membership.user.is_active

    @staticmethod
    def resolve_added_by(membership: Membership) -> str | None:
        return membership.added_by.email if membership.added_by else None


@router.get("/groups", response=list[GroupOut], operation_id="list_groups")
def list_groups(request: HttpRequest, wanted: Query[Paging]) -> list[Group]:
    """List all groups."""
    return wanted.of(_counted())


@router.post("/groups", response={201: GroupOut}, operation_id="create_group")
def create_group(request: AuthedRequest, data: GroupIn) -> Status[Group]:
    """Make a group."""
    made = groups.create_group(
        name=data.name.strip(), description=data.description or "", by=request.user
    )
    return Status(201, _counted().get(pk=made.pk))


@router.delete("/groups/{group_id}", response={204: None}, operation_id="delete_group")
def delete_group(request: AuthedRequest, group_id: UUID) -> HttpResponse:
    """Remove a group with its memberships and grants."""
    groups.delete_group(group=find_group(group_id), by=request.user)
    return HttpResponse(status=204)


@router.get(
    "/groups/{group_id}/members", response=list[MemberOut], operation_id="list_group_members"
)
def list_members(request: HttpRequest, group_id: UUID, wanted: Query[Paging]) -> list[Membership]:
    """List who was put into a group. Everyone has no such rows: all active users are in it."""
    memberships = find_group(group_id).memberships.select_related("user", "added_by")
    return wanted.of(memberships.order_by("user__email"))


@router.post(
    "/groups/{group_id}/members", response={201: MemberOut}, operation_id="add_group_member"
)
def add_member(request: AuthedRequest, group_id: UUID, data: MemberIn) -> Status[Membership]:
    """Put a user into a group."""
    user = find_user(data.email)
    added = groups.add_member(group=find_group(group_id), user=user, by=request.user)
    return Status(201, added)


@router.delete(
    "/groups/{group_id}/members/{user_id}", response={204: None}, operation_id="remove_group_member"
)
def remove_member(request: AuthedRequest, group_id: UUID, user_id: UUID) -> HttpResponse:
    """Take a user out of a group."""
    held = find_group(group_id).memberships.filter(user_id=user_id)
    # Who is in it for several reasons loses the one that was given here.
    chosen = held.exclude(source__in=groups.FROM_ELSEWHERE).first() or held.first()
    if chosen is None:
        raise MemberNotFoundError("There is no such member of the group.")
    groups.remove_member(membership=chosen, by=request.user)
    return HttpResponse(status=204)


def find_group(group_id: UUID) -> Group:
    """Return the group with this id.

    Raises:
        GroupNotFoundError: there is none.
    """
    found = Group.objects.filter(pk=group_id).first()
    if found is None:
        raise GroupNotFoundError(f"There is no group {group_id}.")
    return found


def _counted() -> QuerySet[Group]:
    own = {"group": OuterRef("pk")}
    members = Membership.objects.filter(**own).order_by().values("group")
    grants = Grant.objects.filter(**own).order_by().values("group")
    return Group.objects.annotate(
        member_count=Case(
            When(name=EVERYONE, then=Value(User.objects.filter(is_active=True).count())),
            default=Coalesce(
                Subquery(members.annotate(n=Count("user", distinct=True)).values("n")), 0
            ),
        ),
        grant_count=Coalesce(Subquery(grants.annotate(n=Count("pk")).values("n")), 0),
    ).order_by("name")
