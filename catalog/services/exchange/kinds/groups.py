"""Groups with their members, as documents hold them."""

from __future__ import annotations

from access.models import Group, MembershipSource, User
from access.services import groups
from catalog.services.exchange import fields
from catalog.services.exchange.kinds.base import Key, Kind, NameUnknownError, Values, limited


class Groups(Kind):
    """Groups with the members that administrators added; others come from elsewhere."""

    name = "groups"
    fields = (fields.text("description"), fields.references("members"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all groups with the e-mails of their members."""
        those = limited(Group.objects.order_by("name"), name=only)
        found: dict[Key, Values] = {
            (name,): {"description": description, "members": []}
            for name, description in those.values_list("name", "description")
        }
        added = those.filter(memberships__source=MembershipSource.ADMIN).order_by()
        pairs = added.order_by("memberships__user__email").values_list(
            "name", "memberships__user__email"
        )
        for name, email in pairs:
            found[(name,)]["members"].append(email)
        return found

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Make a group with its members."""
        group = groups.create_group(name=key[0], description=values.get("description", ""), by=by)
        self._set_members(group, values.get("members", []), by)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Describe a group, and add and remove members."""
        group = Group.objects.get(name__iexact=key[0])
        if "description" in values:
            groups.change_group(
                group=group, name=group.name, description=values["description"], by=by
            )
        if "members" in values:
            self._set_members(group, values["members"], by)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a group with its memberships and grants."""
        groups.delete_group(group=Group.objects.get(name__iexact=key[0]), by=by)

    def may_go(self, key: Key) -> bool:
        """Say that Admin and Everyone stay."""
        return not Group.objects.filter(name__iexact=key[0], is_system=True).exists()

    def _set_members(self, group: Group, emails: list[str], by: User | None) -> None:
        """Add whom the group misses first, so that Admin is never without anybody."""
        held = {
            each.user.email.lower(): each
            for each in group.memberships.filter(source=MembershipSource.ADMIN).select_related(
                "user"
            )
        }
        wanted = {email.lower(): email for email in emails}
        for email in wanted.keys() - held.keys():
            user = User.objects.filter(email__iexact=email).first()
            if user is None:
                raise NameUnknownError(f"There is no user with the e-mail {wanted[email]}.")
            groups.add_member(group=group, user=user, by=by)
        for email in held.keys() - wanted.keys():
            groups.remove_member(membership=held[email], by=by)
