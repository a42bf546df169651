"""A page of something that can be granted: who reads it, and a grant given with its effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold import widgets

from access.admin.choosing import GroupField, type_name
from access.admin.grant import tier_of, until
from access.models import Grant, Tier
from access.resources import canonical_id
from access.services import audience, grants
from agnes_site.core import human, markup
from agnes_site.core.admin import Admin, button

_SHOWN = 50


class GrantForm(forms.Form):
    """A grant on what the page is about."""

    group = GroupField()
    tier = forms.ChoiceField(choices=Tier.choices, widget=widgets.UnfoldAdminSelectWidget())


class GrantedAdmin(Admin):
    """Shows who reads what the page is about, and gives and takes grants on it."""

    granted_type = "table"

    @property
    def media(self) -> forms.Media:
        """Return what the page needs, and what choosing a group does."""
        found: forms.Media = super().media + GrantForm().media
        return found

    def granted_id(self, obj: Any) -> str:
        """Return under which id ``obj`` is granted."""
        raise NotImplementedError

    def part_names(self) -> Sequence[str]:
        """Return the parts of the page, with that of its readers."""
        return [*super().part_names(), "readers"]

    def callable_names(self) -> Sequence[str]:
        """Return what can be done, with what is done about readers."""
        return [*super().callable_names(), "grant", "revoke_grant"]

    @button("Grant")
    def grant(self, request: HttpRequest, obj: Any) -> None:
        """Let a group read it."""
        form = GrantForm(request.POST)
        if not form.is_valid():
            self.say(request, "Choose a group first.", level=messages.WARNING)
            return
        by: Any = request.user
        given = grants.grant(
            group=form.cleaned_data["group"], resource_type=self.granted_type,
            resource_id=self.granted_id(obj), tier=Tier(form.cleaned_data["tier"]), by=by,
        )  # fmt: skip
        self.say(request, f"{given.group} reads {given.resource_id} from the next request on.")

    @button("Revoke")
    def revoke_grant(self, request: HttpRequest, obj: Any) -> None:
        """Take a grant away."""
        held = get_object_or_404(
            Grant.objects.select_related("group").filter(
                resource_type=self.granted_type, resource_id=self.granted_id(obj)
            ),
            pk=request.POST.get("grant"),
        )
        by: Any = request.user
        grants.revoke(given=held, by=by)
        self.say(request, f"{held.group} no longer reads {held.resource_id} by this grant.")

    def readers(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the groups that read it, how many people they are, and a form for one more."""
        covering = list(audience.covering(self.granted_type, self.granted_id(obj)))
        people = audience.readers(covering).count()
        rows = [self._row(request, obj, held) for held in covering[:_SHOWN]]
        listed = markup.grid(
            ["Group", "Granted", "Tier", "Until", ""],
            rows,
            empty="Nobody but administrators reads this. Choose a group and look who will:",
        )
        title = f"Who reads it: {human.plural(people, 'person', 'people')}"
        note = "Administrators read everything and are not counted unless a group of theirs is."
        more = len(covering) - len(rows)
        return markup.card(
            title,
            format_html(
                '{}{}{}<p class="ag-note">{}</p>',
                listed,
                markup.faint(f"and {human.plural(more, 'more grant')}") if more else "",
                self._form(request, obj),
                note,
            ),
        )

    def _row(self, request: HttpRequest, obj: Any, held: Grant) -> list[Any]:
        is_own = held.resource_type == self.granted_type
        through = f"with the {type_name(held.resource_type).lower()} {held.resource_id}"
        return [
            markup.link(reverse("admin:access_group_change", args=[held.group_id]), held.group),
            "itself" if is_own else through,
            tier_of(held),
            until(held),
            self._revoking(request, obj, held)
            if is_own
            else markup.link(reverse("admin:access_grant_change", args=[held.pk]), "Open"),
        ]

    def _revoking(self, request: HttpRequest, obj: Any, held: Grant) -> SafeString:
        return markup.post_button(
            request, self.do_url(obj, "revoke_grant"), "Revoke", is_small=True, part="readers",
            ask=reverse("admin:access_grant_loss", args=[held.pk]), fields={"grant": held.pk},
        )  # fmt: skip

    def _form(self, request: HttpRequest, obj: Any) -> SafeString:
        url = self.do_url(obj, "grant")
        resource = f"{self.granted_type}:{canonical_id(self.granted_type, self.granted_id(obj))}"
        group, tier = GrantForm(auto_id="grant_%s")
        return format_html(
            '<form class="ag-inline-form" method="post" action="{}"{}>'
            '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
            '<input type="hidden" name="resource" value="{}">'
            '<div><label class="ag-hidden" for="grant_group">Group</label>{}</div>'
            '<div><label class="ag-hidden" for="grant_tier">How it reaches laptops</label>{}</div>'
            '<button class="ag-button ag-main" type="submit">Grant</button>'
            '<p class="ag-effect" role="status" aria-live="polite" hx-get="{}" '
            'hx-trigger="change from:closest form" hx-include="closest form"></p></form>',
            url,
            markup.in_part(url, "readers"),
            get_token(request),
            resource,
            group,
            tier,
            reverse("admin:access_grant_reach"),
        )
