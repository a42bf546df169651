"""Grants: given and taken."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from access.models import Grant, Group, Tier, User
from access.resources import canonical_id
from access.services import audit, stamps
from agnes_site.core.errors import ConflictError

AUDITED = ("group", "tier", "expires_at")


class GrantExistsError(ConflictError):
    """The group holds this grant already."""

    code = "grant_exists"


@transaction.atomic
def grant(
    *,
    group: Group,
    resource_type: str,
    resource_id: str,
    by: User | None,
    tier: Tier = Tier.REQUIRED,
    expires_at: datetime | None = None,
) -> Grant:
    """Let the members of ``group`` use a resource; at their next request they can.

    Raises:
        UnknownResourceTypeError: nothing of this type can be granted.
        ResourceNotFoundError: there is no such thing.
        GrantExistsError: the group holds this grant already.
    """
    canonical = canonical_id(resource_type, resource_id)
    given, is_new = Grant.objects.get_or_create(
        group=group,
        resource_type=resource_type,
        resource_id=canonical,
        defaults={"tier": tier, "expires_at": expires_at, "created_by": by},
    )
    if not is_new:
        raise GrantExistsError(
            f"{group.name} holds a grant on {resource_type} {canonical} already."
        )
    stamps.move_groups([group])
    audit.record(
        action="resource_grant.created",
        resource=f"{resource_type}/{canonical}",
        actor=by,
        after=audit.snapshot(given, AUDITED),
    )
    return given


@transaction.atomic
def change(*, given: Grant, tier: Tier, expires_at: datetime | None, by: User | None) -> None:
    """Change how, and until when, a grant holds."""
    before = audit.snapshot(given, AUDITED)
    given.tier, given.expires_at = tier, expires_at
    given.save(update_fields=["tier", "expires_at"])
    stamps.move_groups([given.group])
    audit.record(
        action="resource_grant.changed",
        resource=f"{given.resource_type}/{given.resource_id}",
        actor=by,
        before=before,
        after=audit.snapshot(given, AUDITED),
    )


@transaction.atomic
def revoke(*, given: Grant, by: User | None) -> None:
    """Take a grant away; at their next request the group's members have lost it."""
    stamps.move_groups([given.group])
    audit.record(
        action="resource_grant.deleted",
        resource=f"{given.resource_type}/{given.resource_id}",
        actor=by,
        before=audit.snapshot(given, AUDITED),
    )
    given.delete()


@transaction.atomic
def revoke_all(*, resource_type: str, resource_id: str, by: User | None) -> int:
    """Take away every grant on a resource that is going, and return their number."""
    held = list(
        Grant.objects.filter(resource_type=resource_type, resource_id=resource_id).select_related(
            "group"
        )
    )
    for given in held:
        revoke(given=given, by=by)
    return len(held)
