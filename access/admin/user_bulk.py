"""What can be done to many users at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django import forms

from access.admin.choosing import GroupField
from access.models import EVERYONE, Group, Membership, User
from access.services import groups
from agnes_site.core import human
from agnes_site.core.admin import BulkAction, Step

Values = Mapping[str, Any]
Plan = Callable[[Sequence[User], Values], Iterator[Step]]


class GroupForm(forms.Form):
    """Which group."""

    group = GroupField()

    def clean_group(self) -> Group:
        """Refuse the group that everybody is in."""
        group: Group = self.cleaned_data["group"]
        if group.name == EVERYONE:
            raise forms.ValidationError("Every active user is in Everyone. Choose another group.")
        return group


def _joining(users: Sequence[User], values: Values) -> Iterator[Step]:
    group = values["group"]
    inside = _inside(users, group)
    for user in users:
        if user.pk in inside:
            yield Step(row=user, name=user.email, text=f"Is in {group} already.", is_possible=False)
        else:
            yield Step(row=user, name=user.email, text=f"Gets all that {group} holds grants on.")


def _leaving(users: Sequence[User], values: Values) -> Iterator[Step]:
    group = values["group"]
    inside = _inside(users, group)
    for user in users:
        if user.pk in inside:
            yield Step(row=user, name=user.email, text=f"Loses what only {group} holds grants on.")
        else:
            yield Step(row=user, name=user.email, text=f"Is not in {group}.", is_possible=False)


def _inside(users: Sequence[User], group: Group) -> set[Any]:
    held = Membership.objects.filter(group=group, user__in=[user.pk for user in users])
    return set(held.values_list("user_id", flat=True))


def _activity(*, is_active: bool, says: str, same: str) -> Plan:
    def plan(users: Sequence[User], values: Values) -> Iterator[Step]:
        for user in users:
            is_possible = user.is_active != is_active
            yield Step(
                row=user,
                name=user.email,
                text=says if is_possible else same,
                is_possible=is_possible,
            )

    return plan


def _granted(users: Sequence[User], values: Values) -> str:
    count = human.plural(values["group"].grants.in_force().count(), "grant")
    return f"{values['group']} holds {count}."


def _remove(user: User, values: Values, by: Any) -> None:
    held = Membership.objects.select_related("group", "user")
    for membership in held.filter(user=user, group=values["group"]):
        groups.remove_member(membership=membership, by=by)


USER_BULK = (
    BulkAction(
        key="join", label="Add to a group", confirm="Add", form=GroupForm, done="Added",
        plan=_joining, effect=_granted,
        do=lambda user, values, by: groups.add_member(group=values["group"], user=user, by=by),
    ),
    BulkAction(
        key="leave", label="Remove from a group", confirm="Remove", form=GroupForm, done="Removed",
        plan=_leaving, effect=_granted, do=_remove,
    ),
    BulkAction(
        key="deactivate_chosen", label="Deactivate", confirm="Deactivate", done="Deactivated",
        is_dangerous=True,
        plan=_activity(
            is_active=False, says="Loses all access at once, tokens and sessions too.",
            same="Is inactive already.",
        ),
        do=lambda user, values, by: groups.set_active(user=user, is_active=False, by=by),
    ),
    BulkAction(
        key="activate_chosen", label="Activate", confirm="Activate", done="Activated",
        plan=_activity(
            is_active=True, says="May sign in again, with the groups of before.",
            same="Is active already.",
        ),
        do=lambda user, values, by: groups.set_active(user=user, is_active=True, by=by),
    ),
)  # fmt: skip
