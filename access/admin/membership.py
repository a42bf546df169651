"""Memberships, as rows on the pages of groups and of users."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.models import EVERYONE, Membership
from access.services import groups
from agnes_site.core import markup
from agnes_site.core.admin import RowsInline


class MembershipInline(RowsInline):
    """Who is in which group, and why; added and removed, never edited."""

    model = Membership
    readonly_fields = ("source", "added_by", "since")
    verbose_name = "membership"
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Return the memberships with the names that are shown."""
        found: QuerySet[Membership] = super().get_queryset(request)
        return found.select_related("user", "group", "added_by")

    @admin.display(description="since")
    def since(self, membership: Membership) -> SafeString:
        """Show since when."""
        return markup.when(membership.added_at)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say that a membership is not edited."""
        return False

    def add_row(self, request: HttpRequest, row: Membership) -> None:
        """Put the user into the group."""
        by: Any = request.user
        groups.add_member(group=row.group, user=row.user, by=by)

    def remove_row(self, request: HttpRequest, row: Membership) -> None:
        """Take the user out of the group."""
        by: Any = request.user
        groups.remove_member(membership=row, by=by)


class MembersInline(MembershipInline):
    """The members of a group."""

    fields = ("user", "source", "added_by", "since")
    autocomplete_fields = ("user",)
    verbose_name_plural = "members"


class GroupsInline(MembershipInline):
    """The groups of a user, but for Everyone."""

    fk_name = "user"
    fields = ("group", "source", "added_by", "since")
    verbose_name_plural = "groups"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the groups that somebody can be put into."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "group" and field is not None:
            field.queryset = field.queryset.exclude(name=EVERYONE)
        return field
