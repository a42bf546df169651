"""How what was done to groups, users and grants is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from access.models import AuditEvent, Grant, Group, Membership, Tier, User
from access.resources import ResourceNotFoundError
from access.services import audit, grants, groups, history, users
from access.services.history import NotRevertibleError, Reverter, register, register_naming


def register_all() -> None:
    """Tell the history about them."""
    register_naming("user_group.created")
    register_naming("user_group.changed", names=_is_renaming)
    register("user_group.changed", Reverter(label="Put back", now=_group_now, do=_put_group_back))
    register(
        "user_group.deleted",
        Reverter(
            label="Restore", now=lambda event: {}, do=_restore_group, names=_names_of_group,
            loses="Members that come from elsewhere return when they sign in; grants on what is "
            "gone do not return.",
        ),
    )  # fmt: skip
    register(
        "user_group.member_added", Reverter(label="Remove", now=_member_now, do=_remove_member)
    )
    register(
        "user_group.member_removed",
        Reverter(label="Add again", now=lambda event: {}, do=_add_member),
    )
    register("user.change", Reverter(label="Put back", now=_user_now, do=_put_user_back))
    for action, is_active in (("user.deactivate", True), ("user.activate", False)):
        register(action, _switch(is_active=is_active))
    for action, label, now, do in (
        ("created", "Revoke", _grant_now, _revoke),
        ("changed", "Put back", _grant_now, _put_back),
        ("deleted", "Grant again", lambda event: {}, _grant_again),
    ):
        reverter = Reverter(label=label, now=now, do=do, names=_names_of_grant)
        register(f"resource_grant.{action}", reverter)


def _is_renaming(event: AuditEvent) -> bool:
    return (event.before or {}).get("name") != (event.after or {}).get("name")


def _names_of_group(event: AuditEvent) -> list[str]:
    held = (event.before or {}).get("grants", [])
    return [event.resource, *(f"{each['resource_type']}/{each['resource_id']}" for each in held)]


def _names_of_grant(event: AuditEvent) -> list[str]:
    return [event.resource, f"group/{_group_of_grant(event)}"]


def _group_of_grant(event: AuditEvent) -> str | None:
    told = {**(event.before or {}), **(event.after or {})}
    return told.get("group")


def _group_now(event: AuditEvent) -> Mapping[str, Any] | None:
    group = Group.objects.filter(name=event.resource_id).first()
    return audit.snapshot(group, ("name", "description")) if group else None


def _put_group_back(event: AuditEvent, by: User | None) -> None:
    before = event.before or {}
    groups.change_group(
        group=_group(event.resource_id), by=by, name=before["name"],
        description=before["description"],
    )  # fmt: skip


def _restore_group(event: AuditEvent, by: User | None) -> None:
    before = history.before(event)
    group = groups.create_group(
        name=event.resource_id, description=before.get("description", ""), by=by
    )
    for user in User.objects.filter(pk__in=before.get("members", [])):
        groups.add_member(group=group, user=user, by=by)
    for held in before.get("grants", []):
        with suppress(ResourceNotFoundError):
            grants.grant(
                group=group, resource_type=held["resource_type"], resource_id=held["resource_id"],
                by=by, **_terms(held),
            )  # fmt: skip


def _member_now(event: AuditEvent) -> Mapping[str, Any] | None:
    held = _membership(event, event.after or {})
    return event.after if held else None


def _remove_member(event: AuditEvent, by: User | None) -> None:
    held = _membership(event, event.after or {})
    if held is None:
        raise NotRevertibleError("They are not in this group any more.")
    groups.remove_member(membership=held, by=by)


def _add_member(event: AuditEvent, by: User | None) -> None:
    user = _user(str(history.before(event)["user"]))
    groups.add_member(group=_group(event.resource_id), user=user, by=by)


def _membership(event: AuditEvent, told: Mapping[str, Any]) -> Membership | None:
    return Membership.objects.filter(
        group__name=event.resource_id, user=told.get("user"), source=told.get("source")
    ).first()


def _user_now(event: AuditEvent) -> Mapping[str, Any] | None:
    user = User.objects.filter(pk=event.resource_id).first()
    return audit.snapshot(user, users.EDITABLE) if user else None


def _put_user_back(event: AuditEvent, by: User | None) -> None:
    users.change_user(user=_user(event.resource_id), by=by, **(event.before or {}))


def _switch(*, is_active: bool) -> Reverter:
    def do(event: AuditEvent, by: User | None) -> None:
        groups.set_active(user=_user(event.resource_id), is_active=is_active, by=by)

    label = "Activate" if is_active else "Deactivate"
    return Reverter(label=label, now=lambda event: {}, do=do)


def _grant_now(event: AuditEvent) -> Mapping[str, Any] | None:
    held = _find_grant(event)
    return audit.snapshot(held, grants.AUDITED) if held else None


def _revoke(event: AuditEvent, by: User | None) -> None:
    grants.revoke(given=_grant(event), by=by)


def _put_back(event: AuditEvent, by: User | None) -> None:
    grants.change(given=_grant(event), by=by, **_terms(event.before or {}))


def _grant_again(event: AuditEvent, by: User | None) -> None:
    before = history.before(event)
    grants.grant(
        group=_group(before["group"]), resource_type=event.resource_type,
        resource_id=event.resource_id, by=by, **_terms(before),
    )  # fmt: skip


def _terms(told: Mapping[str, Any]) -> dict[str, Any]:
    until = told.get("expires_at")
    return {
        "tier": Tier(told.get("tier", Tier.REQUIRED)),
        "expires_at": datetime.fromisoformat(until) if until else None,
    }


def _grant(event: AuditEvent) -> Grant:
    held = _find_grant(event)
    if held is None:
        raise NotRevertibleError("This grant is gone.")
    return held


def _find_grant(event: AuditEvent) -> Grant | None:
    return Grant.objects.filter(
        group__name=_group_of_grant(event),
        resource_type=event.resource_type,
        resource_id=event.resource_id,
    ).first()


def _group(name: str) -> Group:
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise NotRevertibleError(f"There is no group named {name!r} any more.")
    return group


def _user(pk: str) -> User:
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise NotRevertibleError("This user is gone.")
    return user
