"""Grants: given, changed, taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from access.admin import reach
from access.admin.choosing import GroupField, ResourceField, things, type_name
from access.admin.history import HistoriedAdmin
from access.models import AuditEvent, Grant, Group, Tier
from access.resources import registered
from access.services import audience, grants
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, OneOfManyFilter, become
from agnes_site.core.database import as_uuid
from agnes_site.core.markup import Tone


class ExpiryFilter(admin.SimpleListFilter):
    """Whether a grant is in force."""

    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("yes", "In force"), ("no", "Expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        """Limit the grants to the chosen ones."""
        expired = queryset.filter(expires_at__lte=timezone.now())
        match self.value():
            case "yes":
                return queryset.exclude(pk__in=expired.values("pk"))
            case "no":
                return expired
        return queryset


class NewGrantForm(forms.ModelForm[Grant]):
    """A grant whose group and resource are found by typing."""

    group = GroupField()
    resource = ResourceField(
        help_text="Type to search. A folder or a source grants all tables in it, later ones too.",
    )

    class Meta:
        model = Grant
        fields = ("group", "tier", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["resource"]
        field.help_text = format_html(
            '{}<span class="ag-effect" role="status" aria-live="polite" hx-get="{}" '
            'hx-trigger="change from:#grant_form" hx-include="#grant_form"></span>',
            field.help_text,
            reverse("admin:access_grant_reach"),
        )


@admin.register(Grant)
class GrantAdmin(HistoriedAdmin):
    """What the members of a group may use."""

    autocomplete_fields = ("group",)
    list_display = ("group", "kind", "resource", "tier_shown", "until_shown", "created_by")
    list_display_links = ("resource",)
    list_filter = ("resource_type", "tier", ExpiryFilter, ("group", OneOfManyFilter))
    list_select_related = ("group", "created_by")
    search_fields = ("resource_id", "group__name")
    error_fields = {  # noqa: RUF012 (declared as a class variable in the base)
        "grant_exists": "resource",
        "resource_not_found": "resource",
    }
    next_step = NextStep(
        text="A grant lets the members of a group read a table, or all tables of a folder or of a "
        "source. Without one, only administrators read anything.",
        label="Add a grant",
        url_name="admin:access_grant_add",
    )

    def get_urls(self) -> list[URLPattern]:
        """Return the pages of grants, and what their forms ask for while they are filled in."""
        own = [
            path("things/", self.admin_site.admin_view(things), name="access_grant_things"),
            path("reach/", self.admin_site.admin_view(self.reach_view), name="access_grant_reach"),
            path(
                "<uuid:grant_id>/loss/",
                self.admin_site.admin_view(self.loss_view),
                name="access_grant_loss",
            ),
        ]
        return [*own, *super().get_urls()]

    def reach_view(self, request: HttpRequest) -> HttpResponse:
        """Say who will be able to read a thing by a grant that is not given yet."""
        kind, _, found = request.GET.get("resource", "").partition(":")
        if kind not in registered() or not found or not request.GET.get("group"):
            return HttpResponse("")
        group = _group(request.GET["group"])
        return HttpResponse(escape(reach.of_giving(group, kind, found)) if group else "")

    def loss_view(self, request: HttpRequest, grant_id: UUID) -> HttpResponse:
        """Say who loses a thing with a grant, as a question."""
        given = get_object_or_404(Grant.objects.select_related("group"), pk=grant_id)
        return HttpResponse(reach.of_taking(given), content_type="text/plain; charset=utf-8")

    def below(self, request: HttpRequest, obj: Grant) -> SafeString:
        """Return whom it concerns."""
        effect = audience.of_taking(obj)
        only = human.plural(effect.concerned, "person", "people")
        return markup.card(
            "Whom it concerns",
            markup.facts(
                [
                    ("Read by it", human.plural(effect.members, "person", "people")),
                    ("Of these, only by it", only),
                ]
            ),
        )

    @admin.display(description="type", ordering="resource_type")
    def kind(self, grant: Grant) -> str:
        """Show what kind of thing is granted."""
        return type_name(grant.resource_type)

    @admin.display(description="what", ordering="resource_id")
    def resource(self, grant: Grant) -> str:
        """Show what is granted."""
        return grant.resource_id

    @admin.display(description="tier", ordering="tier")
    def tier_shown(self, grant: Grant) -> str:
        """Show how it reaches the laptops."""
        return tier_of(grant)

    @admin.display(description="until", ordering="expires_at")
    def until_shown(self, grant: Grant) -> SafeString | str:
        """Show when it ends."""
        return until(grant)

    def get_form(
        self, request: HttpRequest, obj: Grant | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form; what is granted to whom cannot be changed later."""
        if obj is None:
            kwargs["form"] = NewGrantForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        """Return what is asked for."""
        what = ("group", "resource_type", "resource_id") if obj else ("group", "resource")
        return [(None, {"fields": (*what, "tier", "expires_at")})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the group that the address names, if there is one."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        if "group" in initial and _group(initial["group"]) is None:
            del initial["group"]
        return initial

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> Sequence[str]:
        """Keep what is granted to whom."""
        return ("group", "resource_type", "resource_id") if obj else ()

    def save_model(self, request: HttpRequest, obj: Grant, form: Any, change: Any) -> None:
        """Give or change the grant."""
        by: Any = request.user
        tier = Tier(obj.tier)
        if change:
            held = Grant.objects.select_related("group").get(pk=obj.pk)
            grants.change(given=held, tier=tier, expires_at=obj.expires_at, by=by)
            return
        resource_type, _, resource_id = form.cleaned_data["resource"].partition(":")
        made = grants.grant(
            group=obj.group, resource_type=resource_type, resource_id=resource_id, tier=tier,
            expires_at=obj.expires_at, by=by,
        )  # fmt: skip
        become(obj, made)

    def audited_as(self, obj: Grant) -> Sequence[str]:
        """Return the name of what is granted."""
        return [f"{obj.resource_type}/{obj.resource_id}"]

    def history_of(self, obj: Grant) -> QuerySet[AuditEvent]:
        """Return what was done to grants on the same thing."""
        found: QuerySet[AuditEvent] = super().history_of(obj)
        return found.filter(action__startswith="resource_grant.")

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        """Take the grant away."""
        by: Any = request.user
        grants.revoke(given=obj, by=by)


def tier_of(grant: Grant) -> str:
    """Return the name of its tier, without what that means."""
    return grant.get_tier_display().partition(":")[0]


def until(grant: Grant) -> SafeString | str:
    """Return how long a grant holds."""
    if grant.expires_at is None:
        return "always"
    if grant.expires_at <= timezone.now():
        return markup.badge("expired", Tone.WARN)
    return markup.when(grant.expires_at)


def _group(text: str) -> Group | None:
    chosen = as_uuid(text)
    return Group.objects.filter(pk=chosen).first() if chosen else None
