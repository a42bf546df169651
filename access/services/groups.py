"""Groups and their members."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q

from access.models import ADMIN, AuditEvent, Group, Membership, MembershipSource, User
from access.services import audit, stamps
from agnes_site.core.errors import ConflictError


class SystemGroupError(ConflictError):
    """Admin and Everyone are always there."""

    code = "system_group"
    hint = "Make a group of your own instead."


class LastAdminError(ConflictError):
    """Somebody must be able to administer the system."""

    code = "last_admin"
    hint = "Add another active user to the group Admin first."


class EveryoneMembershipError(ConflictError):
    """Every active user is in Everyone by construction."""

    code = "everyone_membership"
    hint = "Deactivate the user to take all access away."


class GroupExistsError(ConflictError):
    """There is a group with this name already."""

    code = "group_exists"
    hint = "Choose another name."


class AlreadyMemberError(ConflictError):
    """The user is in the group already."""

    code = "already_member"


class ExternalMembershipError(ConflictError):
    """The membership comes from elsewhere and is changed there."""

    code = "membership_external"
    hint = "Change it where it comes from, such as the directory of the company."


FROM_ELSEWHERE = (MembershipSource.GOOGLE_SYNC, MembershipSource.OIDC_CLAIM)


@transaction.atomic
def create_group(*, name: str, by: User | None, description: str = "") -> Group:
    """Make a group.

    Raises:
        GroupExistsError: the name is taken, in whatever case it is written.
    """
    _check_name(name)
    group = Group(name=name, description=description)
    group.full_clean()
    group.save()
    audit.record(
        action="user_group.created", resource=f"group/{name}", actor=by,
        after=audit.snapshot(group, ("name", "description")),
    )  # fmt: skip
    return group


@transaction.atomic
def change_group(*, group: Group, by: User | None, name: str, description: str) -> None:
    """Rename or describe a group; grants and memberships stay as they are.

    Raises:
        SystemGroupError: Admin and Everyone keep their names.
        GroupExistsError: another group has the name, in whatever case it is written.
    """
    group = Group.objects.select_for_update().get(pk=group.pk)
    if group.is_system and name != group.name:
        raise SystemGroupError(f"The group {group.name} cannot be renamed.")
    _check_name(name, but=group)
    before = audit.snapshot(group, ("name", "description"))
    group.name, group.description = name, description
    group.full_clean()
    group.save(update_fields=["name", "description"])
    audit.record(
        action="user_group.changed", resource=f"group/{name}", actor=by, before=before,
        after=audit.snapshot(group, ("name", "description")),
    )  # fmt: skip


@transaction.atomic
def delete_group(*, group: Group, by: User | None) -> None:
    """Remove a group with its memberships and grants.

    Raises:
        SystemGroupError: it is Admin or Everyone.
    """
    if group.is_system:
        raise SystemGroupError(f"The group {group.name} cannot be deleted.")
    stamps.move_members(group)
    audit.record(
        action="user_group.deleted", resource=f"group/{group.name}", actor=by,
        before=_whole(group),
    )  # fmt: skip
    group.delete()


def names_of(group: Group) -> list[str]:
    """Return the name of a group, and those that it had before, as the audit tells."""
    names = [group.name]
    changed = AuditEvent.objects.filter(action="user_group.changed", at__gte=group.created_at)
    for name in names:  # which grows meanwhile
        told = changed.filter(resource=f"group/{name}").values_list("before", flat=True)
        names += {before["name"] for before in told if before} - set(names)
    return names


@transaction.atomic
def add_member(
    *,
    group: Group,
    user: User,
    by: User | None,
    source: MembershipSource = MembershipSource.ADMIN,
) -> Membership:
    """Put a user into a group.

    Raises:
        EveryoneMembershipError: the group is Everyone.
        AlreadyMemberError: the user is in it for the same reason already.
    """
    if group.is_system and group.name != ADMIN:
        raise EveryoneMembershipError(f"{user.email} is in {group.name} without being added.")
    membership, is_new = Membership.objects.get_or_create(
        group=group, user=user, source=source, defaults={"added_by": by}
    )
    if not is_new:
        raise AlreadyMemberError(f"{user.email} is in {group.name} already.")
    _forget_admin(user)
    stamps.move_user(user)
    audit.record(
        action="user_group.member_added",
        resource=f"group/{group.name}",
        actor=by,
        after={"user": str(user.pk), "source": source},
    )
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, by: User | None) -> None:
    """Take a user out of a group.

    Raises:
        ExternalMembershipError: an administrator did not add them.
        LastAdminError: nobody could administer the system any more.
    """
    group, user = membership.group, membership.user
    if membership.source in FROM_ELSEWHERE:
        raise ExternalMembershipError(f"{user.email} was not added to {group.name} here.")
    if group.name == ADMIN:
        ensure_other_admin(user, without=membership)
    membership.delete()
    _forget_admin(user)
    stamps.move_user(user)
    audit.record(
        action="user_group.member_removed",
        resource=f"group/{group.name}",
        actor=by,
        before={"user": str(user.pk), "source": membership.source},
    )


@transaction.atomic
def set_active(*, user: User, is_active: bool, by: User | None) -> None:
    """Let a user in, or keep them out at once with all their tokens and sessions.

    Raises:
        LastAdminError: nobody could administer the system any more.
    """
    if not is_active and user.is_admin:
        ensure_other_admin(user)
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    _forget_admin(user)
    stamps.move_user(user)
    action = "user.activate" if is_active else "user.deactivate"
    audit.record(action=action, resource=f"user/{user.pk}", actor=by)


def _check_name(name: str, *, but: Group | None = None) -> None:
    others = Group.objects.filter(name__iexact=name)
    if but is not None:
        others = others.exclude(pk=but.pk)
    if others.exists():
        raise GroupExistsError(f"There is a group named {name!r} already.")


def _whole(group: Group) -> dict[str, Any]:
    """Return what a group is, and what goes with it."""
    members = group.memberships.filter(source=MembershipSource.ADMIN)
    terms = ("resource_type", "resource_id", "tier", "expires_at")
    return {
        **audit.snapshot(group, ("name", "description")),
        "members": [str(pk) for pk in members.values_list("user", flat=True)],
        "grants": [audit.snapshot(held, terms) for held in group.grants.all()],
    }


def ensure_other_admin(user: User, *, without: Membership | None = None) -> None:
    """Refuse what would leave no active administrator.

    With ``without``, another membership of the same user in Admin counts too.

    Raises:
        LastAdminError: there is no other one.
    """
    admins = Membership.objects.select_for_update().filter(group__name=ADMIN, user__is_active=True)
    others = admins.exclude(pk=without.pk) if without else admins.filter(~Q(user=user))
    if not others.exists():
        raise LastAdminError(f"{user.email} is the only active administrator.")


def _forget_admin(user: User) -> None:
    user.__dict__.pop("is_admin", None)
