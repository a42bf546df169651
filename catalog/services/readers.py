"""The reader of a prepared query: one statement for all whom grants alone decide about."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import DateTimeField, UUIDField
from django.utils import timezone

from access.models import User
from agnes_site.core.prepared import Parameter

# When the grants of `any_reader` have to be in force.
NOW = Parameter("now", DateTimeField())


def any_reader() -> User:
    """Return a user to compose a query with, in the place of whoever asks it."""
    user = User()
    user.pk = cast(UUID, Parameter("user", UUIDField()))
    user.is_admin = False
    return user


def is_any_reader(user: User) -> bool:
    """Say whether a query composed with `any_reader` answers for ``user`` as well.

    Administrators, narrowed tokens and people who are not active are asked about otherwise.
    """
    is_narrowed = user.token is not None and bool(user.token.only)
    return user.is_active and not user.is_admin and not is_narrowed


def values(user: User) -> dict[str, Any]:
    """Return the values of `any_reader` and `NOW` for ``user`` and this moment."""
    return {"user": user.pk, "now": timezone.now()}
