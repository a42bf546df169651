"""Who reads a table: the grants that cover it, and what one can do about them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Count, Q
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold import widgets

from access.models import EVERYONE, Grant, Group, Tier, User
from access.services import grants
from agnes_site.core import human, markup
from agnes_site.core.admin import Admin
from agnes_site.core.markup import Tone
from catalog.admin.paneled import page_of
from catalog.models import Table


class GrantForm(forms.Form):
    """A grant on the table of the page."""

    group = forms.ModelChoiceField(
        Group.objects.all(), empty_label="Choose a group", widget=widgets.UnfoldAdminSelectWidget()
    )
    tier = forms.ChoiceField(choices=Tier.choices, widget=widgets.UnfoldAdminSelectWidget())


def readers_card(admin: Admin, request: HttpRequest, table: Table) -> SafeString:
    """Return the groups that read a table, how many people they are, and a form for one more."""
    covering = list(_covering(table))
    people = _people(covering)
    rows = [
        [
            markup.link(page_of("access", "group", held.group_id), held.group.name),
            _through(held, table),
            held.get_tier_display().partition(":")[0],
            _until(held),
            admin.do_button(request, table, "revoke_grant", is_small=True, grant=str(held.pk))
            if held.resource_type == "table"
            else markup.link(page_of("access", "grant", held.pk), "Open"),
        ]
        for held in covering
    ]
    listed = markup.grid(
        ["Group", "Granted", "Tier", "Until", ""],
        rows,
        empty="Nobody but administrators reads this table. Grant it to a group:",
    )
    form = format_html(
        '<form class="ag-inline-form" method="post" action="{}">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">{}{}'
        '<button class="ag-button" type="submit">Grant</button></form>',
        admin.do_url(table, "grant"),
        get_token(request),
        *(field for field in GrantForm()),
    )
    title = f"Who reads it: {human.plural(people, 'person', 'people')}"
    return markup.card(title, format_html("{}{}", listed, form))


def give_from(request: HttpRequest, table: Table) -> str:
    """Grant ``table`` as the form says; return what to tell."""
    form = GrantForm(request.POST)
    if not form.is_valid():
        return "Choose a group first."
    by: Any = request.user
    given = grants.grant(
        group=form.cleaned_data["group"], resource_type="table", resource_id=table.name,
        tier=Tier(form.cleaned_data["tier"]), by=by,
    )  # fmt: skip
    return f"{given.group} reads {table.name} from the next request on."


def take_from(request: HttpRequest, table: Table) -> str:
    """Take away the grant on ``table`` that a form names; return what to tell."""
    held = get_object_or_404(
        Grant.objects.filter(resource_type="table", resource_id=table.name).select_related("group"),
        pk=request.POST.get("grant"),
    )
    by: Any = request.user
    grants.revoke(given=held, by=by)
    return f"{held.group} no longer reads {table.name} by a grant of its own."


def _covering(table: Table) -> Iterable[Grant]:
    covers = Q(resource_type="table", resource_id=table.name)
    covers |= Q(resource_type="source", resource_id=table.source.slug)
    if table.folder is not None:
        covers |= Q(resource_type="folder", resource_id=table.folder.slug)
    return Grant.objects.filter(covers).select_related("group")


def _people(covering: Iterable[Grant]) -> int:
    now = timezone.now()
    groups = [held.group for held in covering if held.expires_at is None or held.expires_at > now]
    active = User.objects.filter(is_active=True)
    if not any(group.name == EVERYONE for group in groups):
        active = active.filter(memberships__group__in=groups)
    found: int = active.aggregate(n=Count("pk", distinct=True))["n"]
    return found


def _through(held: Grant, table: Table) -> str:
    if held.resource_type == "table":
        return "the table"
    name = table.folder if held.resource_type == "folder" else table.source
    return f"with its {held.resource_type} {name}"


def _until(held: Grant) -> SafeString | str:
    until: datetime | None = held.expires_at
    if until is None:
        return "always"
    if until <= timezone.now():
        return markup.badge("expired", Tone.WARN)
    return markup.when(until)
