"""The history of an object: who changed what, and a way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from access.models import AuditEvent, User
from access.services import history
from agnes_site.core import markup
from agnes_site.core.admin import Admin, CountedPaginator, difference
from agnes_site.core.database import as_uuid

_PER_PAGE = 50
_WORDS = {
    "create": "added", "created": "added", "register_table": "registered", "change": "changed",
    "changed": "changed", "update_table": "changed", "delete": "removed", "deleted": "removed",
    "unregister_table": "unregistered", "revert": "reverted",
}  # fmt: skip


class HistoriedAdmin(Admin):
    """A page with a history, read from the audit."""

    def audited_as(self, obj: Any) -> Sequence[str]:
        """Return the names under which the audit speaks of ``obj``."""
        raise NotImplementedError

    def history_of(self, obj: Any) -> Any:
        """Return the events of ``obj``, the newest first."""
        return history.about(self.audited_as(obj))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who changed what, a page at a time, with a way back from each change."""
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        page = CountedPaginator(self.history_of(obj), _PER_PAGE).get_page(request.GET.get("page"))
        events = list(page.object_list)
        emails = _emails(events)
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {obj}",
            "opts": self.opts,
            "original": obj,
            "object": obj,
            "page": page,
            "events": [_shown(request, event, emails) for event in events],
            **(extra_context or {}),
        }
        return render(request, "web/history.html", context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Offer the history beside the form."""
        context["show_history"] = context.get("original") is not None
        return super().render_change_form(request, context, *args, **kwargs)


def _shown(request: HttpRequest, event: AuditEvent, emails: dict[str, str]) -> SafeString:
    return format_html(
        '<section class="ag-change"><header>{} {} <strong>{}</strong> {}{}</header>{}</section>',
        markup.when(event.at),
        event.actor.email if event.actor else "the system",
        _WORDS.get(event.action.rpartition(".")[2], event.action.replace("_", " ")),
        markup.link(reverse("admin:access_auditevent_change", args=[event.pk]), event.action),
        _way_back(request, event),
        difference(_named(event.before, emails), _named(event.after, emails)),
    )


def _way_back(request: HttpRequest, event: AuditEvent) -> SafeString:
    reverter = history.reverter_of(event)
    if reverter is None:
        return mark_safe("")
    return markup.post_button(
        request, reverse("admin:access_auditevent_do", args=[event.pk, "revert"]), reverter.label,
        icon="undo", is_small=True, confirm=f"Take this back? {reverter.loses}".strip(),
        fields={"next": request.get_full_path()},
    )  # fmt: skip


def _emails(events: Sequence[AuditEvent]) -> dict[str, str]:
    """Return the e-mails of the users that the events name by their id."""
    told = [values for event in events for values in (event.before, event.after) if values]
    ids = {found for values in told if (found := as_uuid(values.get("user")))}
    return {
        str(pk): mail for pk, mail in User.objects.filter(pk__in=ids).values_list("pk", "email")
    }


def _named(values: dict[str, Any] | None, emails: dict[str, str]) -> dict[str, Any] | None:
    if not values or "user" not in values:
        return values
    return {**values, "user": emails.get(str(values["user"]), values["user"])}
