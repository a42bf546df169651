"""The audit: who did what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe

from access.models import AuditEvent, User
from access.services import chain, history
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, OneOfManyFilter, ReadOnlyAdmin, button, difference
from agnes_site.core.database import as_uuid
from agnes_site.core.markup import Tone

_SEARCHED = 100_000


class ActionFilter(admin.SimpleListFilter):
    """What was done."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [(action, action) for action in AuditEvent.objects.actions()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        """Limit the events to the chosen action."""
        return queryset.filter(action=self.value()) if self.value() else queryset


class ClientFilter(admin.SimpleListFilter):
    """By way of which kind of client."""

    title = "by way of"
    parameter_name = "client"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("web", "A browser"), ("cli", "The command line"), ("service", "A service")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        """Limit the events to the chosen kind of client."""
        return queryset.filter(client_kind=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what, the newest first."""

    list_display = ("happened", "who", "action", "about", "result", "by_way_of", "sealed")
    list_filter = ("at", ActionFilter, ClientFilter, ("actor", OneOfManyFilter))
    list_select_related = ("actor",)
    search_fields = ("action", "resource", "actor__email", "request_id", "ip")
    search_help_text = "Search the newest 100,000"
    ordering = ("-at",)
    list_before_template = "access/audit_chain.html"
    sortable_by = ("happened",)
    actions = None
    buttons = ("revert", "revert_anyway")
    next_step = NextStep(
        text="Nothing was done yet. Every change is recorded here, in the same transaction."
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list below what is known of its chain."""
        return super().changelist_view(request, {**(extra_context or {}), "chain": _chain()})

    @admin.display(description="when", ordering="at")
    def happened(self, event: AuditEvent) -> SafeString:
        """Show when."""
        return markup.when(event.at)

    @admin.display(description="who", ordering="actor__email")
    def who(self, event: AuditEvent) -> str:
        """Show who did it."""
        return event.actor.email if event.actor else "the system"

    @admin.display(description="about", ordering="resource")
    def about(self, event: AuditEvent) -> str:
        """Show what it was done to; people by their e-mail."""
        return str(event.__dict__.get("about") or event.resource)

    @admin.display(description="by way of")
    def by_way_of(self, event: AuditEvent) -> str:
        """Show the kind of client and its address."""
        return " ".join(part for part in (event.client_kind, event.ip) if part)

    @admin.display(description="sealed")
    def sealed(self, event: AuditEvent) -> SafeString:
        """Show the place in the chain."""
        return markup.faint("not yet") if event.seq is None else markup.faint(f"#{event.seq:,}")

    @button("Revert", icon="undo", confirm="Take this back?")
    def revert(self, request: HttpRequest, event: AuditEvent) -> HttpResponse | None:
        """Take back what was done, if nothing has happened to it since."""
        return self._revert(request, event, anyway=False)

    @button(
        "Revert anyway", icon="undo", confirm="Take it back although things have changed since?"
    )
    def revert_anyway(self, request: HttpRequest, event: AuditEvent) -> HttpResponse | None:
        """Take back what was done, and with it what was done since."""
        return self._revert(request, event, anyway=True)

    def offered(self, request: HttpRequest, obj: AuditEvent) -> Sequence[str]:
        """Offer to take back what can be taken back."""
        if history.reverter_of(obj) is None:
            return []
        return ["revert_anyway"] if history.doubts(obj) else ["revert"]

    def _revert(
        self, request: HttpRequest, event: AuditEvent, *, anyway: bool
    ) -> HttpResponse | None:
        by: Any = request.user
        history.revert(event=event, by=by, anyway=anyway)
        self.say(request, f"Taken back: {event}.")
        page = request.POST.get("next", "")
        is_ours = url_has_allowed_host_and_scheme(page, allowed_hosts=None)
        return HttpResponseRedirect(page) if is_ours else None

    def complete_rows(self, request: HttpRequest, rows: list[AuditEvent]) -> None:
        """Look up the people that the events are about."""
        ids = {event.pk: found for event in rows if (found := _user_id(event))}
        emails = dict(User.objects.filter(pk__in=ids.values()).values_list("pk", "email"))
        for event in rows:
            event.__dict__["about"] = emails.get(ids[event.pk]) if event.pk in ids else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Search among the newest: the audit grows without end."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if search_term:
            since = AuditEvent.objects.order_by("-at").values_list("at", flat=True)
            oldest = since[_SEARCHED : _SEARCHED + 1].first()
            found = found.filter(at__gt=oldest) if oldest else found
        return found, may_repeat

    def above(self, request: HttpRequest, obj: AuditEvent) -> SafeString:
        """Return the event with what changed."""
        self.complete_rows(request, [obj])
        told = markup.facts(
            [
                ("When", markup.when(obj.at)),
                ("Who", self.who(obj)),
                ("About", self.about(obj) or markup.NOTHING),
                ("Result", markup.badge(obj.result, Tone.GOOD if obj.result == "ok" else Tone.BAD)),
                ("By way of", self.by_way_of(obj) or markup.NOTHING),
                ("Request", markup.code(obj.request_id) if obj.request_id else markup.NOTHING),
                ("Sealed", self.sealed(obj)),
            ]
        )
        card = markup.card(obj.action, told, aside=self.button_bar(request, obj))
        return markup.stack(card, _since(obj), _change(obj))


def _chain() -> SafeString:
    """Return whether the chain is whole, as it was found the last time, and was whole before."""
    lost = chain.last_loss()
    return markup.stack(_checked(), _lost(lost) if lost else "")


def _checked() -> SafeString:
    found = chain.last_check()
    if found is None:
        return markup.faint("Whether a line was altered or removed is looked through once a day.")
    told = found.after or {}
    if found.result == "ok":
        sealed = human.plural(told["sealed"], "sealed event")
        return markup.faint(
            format_html("Checked {}: {}, none altered or removed.", markup.when(found.at), sealed)
        )
    text = "{}, the audit was found altered at {}: that event or the one before it was changed or "
    text += "removed in the database. A backup tells what was there."
    return markup.notice(format_html(text, markup.when(found.at), _place(told["broken"])), Tone.BAD)


def _lost(found: AuditEvent) -> SafeString:
    told = found.after or {}
    text = "{}, the newest events of the audit were found to be gone or written anew: it had come "
    text += "to #{}, and ended at #{}. That is so after a backup was restored as well. {}"
    page = reverse("admin:access_auditevent_change", args=[found.pk])
    noted, ended = human.number(told["noted"]), human.number(told["found"])
    return markup.notice(
        format_html(text, markup.when(found.at), noted, ended, markup.link(page, "The event")),
        Tone.BAD,
    )


def _place(seq: int) -> SafeString | str:
    event = AuditEvent.objects.filter(seq=seq).first()
    if event is None:
        return f"#{seq:,}"
    return markup.link(reverse("admin:access_auditevent_change", args=[event.pk]), f"#{seq:,}")


def _user_id(event: AuditEvent) -> UUID | None:
    return as_uuid(event.resource_id) if event.resource_type == "user" else None


def _since(event: AuditEvent) -> SafeString:
    """Return what a person should know before taking an event back."""
    reverter = history.reverter_of(event)
    if reverter is None:
        return mark_safe("")
    said = [*history.doubts(event), *([reverter.loses] if reverter.loses else [])]
    return markup.faint(" ".join(said)) if said else mark_safe("")


def _change(event: AuditEvent) -> SafeString:
    shown = difference(event.before, event.after)
    return markup.card("What changed", shown) if shown else shown
