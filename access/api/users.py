"""People, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.auth import AdminUser, AuthedRequest
from access.models import ADMIN, EVERYONE, Group, User
from access.services import users
from agnes_site.core.errors import NotFoundError
from agnes_site.core.paging import Paging

router = Router(tags=["users"], auth=AdminUser())


class UserNotFoundError(NotFoundError):
    """There is no such user."""

    code = "user_not_found"


class UserIn(Schema):
    """Somebody who may sign in."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "ana@example.com", "name": "Ana"}}
    )

    email: str = Field(max_length=254, description="Unique, compared without case.")
    name: str | None = Field(None, max_length=200)


class UserGroupOut(Schema):
    """A group that a user is in."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "8c8c3bd4-5623-4387-aa59-63e0dce4c261", "name": "Finance",
                "is_system": False, "origin": "custom",
            }
        }
    )  # fmt: skip

    id: UUID
    name: str
    is_system: bool
    origin: str = Field(description="`system` or `custom`.")


class UserOut(Schema):
    """A user, with their groups."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "29de9763-801a-4d54-9d44-fe0490e10f39", "email": "ana@example.com",
                "name": "Ana", "role": "user", "is_admin": False, "groups": [], "active": True,
                "created_at": "2026-01-01T08:00:00Z",
            }
        }
    )  # fmt: skip

    id: UUID
    email: str
    name: str
    role: str = Field(description="`admin` or `user`: what the membership in Admin says.")
    is_admin: bool
    groups: list[UserGroupOut] = Field(description="Everyone, which all are in, is left out.")
    active: bool
    created_at: datetime

    @staticmethod
    def resolve_role(user: User) -> str:
        return "admin" if _is_admin(user) else "user"

    @staticmethod
    def resolve_is_admin(user: User) -> bool:
        return _is_admin(user)

    @staticmethod
    def resolve_groups(user: User) -> list[dict[str, Any]]:
        return [
            {
                "id": group.pk, "name": group.name, "is_system": group.is_system,
                "origin": "system" if group.is_system else "custom",
            }
            for group in _groups(user)
        ]  # fmt: skip

    @staticmethod
    def resolve_active(user: User) -> bool:
        return user.is_active


@router.get("/users", response=list[UserOut], operation_id="list_users")
def list_users(request: HttpRequest, wanted: Query[Paging]) -> list[User]:
    """List all users."""
    return wanted.of(User.objects.prefetch_related("memberships__group").order_by("email"))


@router.post("/users", response={201: UserOut}, operation_id="create_user")
def create_user(request: AuthedRequest, data: UserIn) -> Status[User]:
    """Add a user, who has no password yet and reads what Everyone reads."""
    made = users.create_user(email=data.email.strip(), name=data.name or "", by=request.user)
    return Status(201, made)


def find_user(email: str) -> User:
    """Return the user with this e-mail address, in whatever case it is written.

    Raises:
        UserNotFoundError: there is none.
    """
    found = User.objects.filter(email__iexact=email.strip()).first()
    if found is None:
        raise UserNotFoundError(f"There is no user {email!r}.")
    return found


def _groups(user: User) -> list[Group]:
    held = {held.group.pk: held.group for held in user.memberships.all()}
    return sorted(
        (group for group in held.values() if group.name != EVERYONE), key=lambda group: group.name
    )


def _is_admin(user: User) -> bool:
    return user.is_active and any(group.name == ADMIN for group in _groups(user))
