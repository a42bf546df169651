"""Groups: their members, and what they hold grants on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin.choosing import type_name
from access.admin.grant import tier_of, until
from access.admin.history import HistoriedAdmin
from access.admin.membership import MembersInline
from access.models import EVERYONE, Grant, Group, Membership, User
from access.services import grants, groups
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, become, button, summary


@admin.register(Group)
class GroupAdmin(HistoriedAdmin):
    """Sets of users that grants are given to."""

    list_display = ("name", "description", "member_count", "grant_count", "kind")
    ordering = ("name",)
    search_fields = ("name", "description")
    fields = ("name", "description")
    inlines = (MembersInline,)
    buttons = ("revoke_grant",)
    error_fields = {"group_exists": "name"}  # noqa: RUF012 (a class variable in the base)
    next_step = NextStep(
        text="Grants are given to groups. Make one for each circle of people who read the same.",
        label="Add a group",
        url_name="admin:access_group_add",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Return the groups with what their list shows."""
        found: QuerySet[Group] = super().get_queryset(request)
        members = Membership.objects.filter(group=OuterRef("pk"), user__is_active=True)
        held = Grant.objects.filter(group=OuterRef("pk"))
        people = members.order_by().values("group").annotate(n=Count("user", distinct=True))
        given = held.order_by().values("group").annotate(n=Count("pk"))
        return found.annotate(
            members_total=Coalesce(Subquery(people.values("n")), 0),
            grants_total=Coalesce(Subquery(given.values("n")), 0),
        )

    @admin.display(description="members", ordering="members_total")
    def member_count(self, group: Any) -> str:
        """Show how many active users are in it."""
        if group.name == EVERYONE:
            return "all active users"
        return human.number(group.members_total)

    @admin.display(description="grants", ordering="grants_total")
    def grant_count(self, group: Any) -> str:
        """Show how much they hold grants on."""
        return human.number(group.grants_total)

    @admin.display(description="kind", ordering="is_system")
    def kind(self, group: Group) -> SafeString | str:
        """Show which groups are always there."""
        return markup.badge("system") if group.is_system else ""

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Sequence[str]:
        """Keep the names of system groups."""
        return ("name",) if obj and obj.is_system else ()

    def get_inlines(self, request: HttpRequest, obj: Group | None = None) -> Any:
        """Return the members, which Everyone has without rows."""
        return () if obj and obj.name == EVERYONE else self.inlines

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Say that system groups stay."""
        return not (obj and obj.is_system)

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: Any) -> None:
        """Make or change the group."""
        by: Any = request.user
        if change:
            groups.change_group(group=obj, by=by, name=obj.name, description=obj.description)
        else:
            become(obj, groups.create_group(name=obj.name, description=obj.description, by=by))

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        """Remove the group."""
        by: Any = request.user
        groups.delete_group(group=obj, by=by)

    def audited_as(self, obj: Group) -> Sequence[str]:
        """Return its name, and those that it had before."""
        return [f"group/{name}" for name in groups.names_of(obj)]

    def goes_with(self, obj: Group) -> Sequence[str]:
        """Say what else is gone."""
        return [
            *summary(obj.memberships.count(), "membership"),
            *summary(obj.grants.count(), "grant"),
        ]

    @button("Revoke")
    def revoke_grant(self, request: HttpRequest, group: Group) -> None:
        """Take a grant away."""
        held = get_object_or_404(group.grants, pk=request.POST.get("grant"))
        by: Any = request.user
        grants.revoke(given=held, by=by)
        self.say(request, f"{group} lost its grant on {held.resource_type} {held.resource_id}.")

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return what the group holds grants on."""
        add = f"{reverse('admin:access_grant_add')}?group={obj.pk}"
        everything = f"{reverse('admin:access_grant_changelist')}?group__id__exact={obj.pk}"
        held = obj.grants.select_related("group")
        rows = [
            [
                type_name(each.resource_type),
                markup.code(each.resource_id),
                tier_of(each),
                until(each),
                self.do_button(
                    request, obj, "revoke_grant", is_small=True, grant=str(each.pk),
                    ask=reverse("admin:access_grant_loss", args=[each.pk]),
                ),
            ]
            for each in held[:50]
        ]  # fmt: skip
        empty = (
            "Administrators read everything; this group needs no grants."
            if obj.is_system and obj.name != EVERYONE
            else "No grants yet: its members read nothing through this group."
        )
        listed = markup.grid(["Type", "Name", "Tier", "Until", ""], rows, empty=empty)
        facts = [
            ("Members", self.member_count(obj)),
            ("Grants", markup.link(everything, self.grant_count(obj))),
        ]
        if obj.name == EVERYONE:
            count = User.objects.filter(is_active=True).count()
            facts[0] = ("Members", f"all {human.plural(count, 'active user')}")
        give = markup.go_button(add, "Add a grant", icon="add")
        return markup.stack(
            markup.card(obj, markup.facts(facts)), markup.card("Grants", listed, aside=give)
        )
