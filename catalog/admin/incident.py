"""Incidents: what was refused, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils.safestring import SafeString

from agnes_site.core import markup
from agnes_site.core.admin import BulkAction, NextStep, ReadOnlyAdmin, Step, button
from agnes_site.core.markup import Tone
from catalog.admin.paneled import page_of
from catalog.models import Incident
from catalog.services import incidents


class OpenFilter(admin.SimpleListFilter):
    """Whether an incident still waits for somebody."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        """Limit the incidents to the chosen state."""
        match self.value():
            case "open":
                return queryset.filter(closed_at=None)
            case "closed":
                return queryset.filter(closed_at__isnull=False)
        return queryset


def _waiving(chosen: Sequence[Incident], values: Mapping[str, Any]) -> Iterator[Step]:
    prefetch_related_objects(chosen, "table", "source")
    for incident in chosen:
        is_open = incident.closed_at is None
        yield Step(
            row=incident,
            name=_subject(incident),
            text=incident.message if is_open else "It is over already.",
            is_possible=is_open,
        )


def _subject(incident: Incident) -> str:
    return str(incident.table or incident.source)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """What needs a person, and what did."""

    list_display = ("about", "kind", "message", "opened", "state")
    list_filter = (OpenFilter, "kind", "opened_at")
    list_select_related = ("table", "source", "waived_by")
    search_fields = ("message", "table__name", "source__slug")
    bulk = (
        BulkAction(
            key="waive", label="Waive", confirm="Waive", done="Waived",
            plan=_waiving,
            do=lambda incident, values, by: incidents.waive(incident=incident, by=by),
            effect=lambda chosen, values: "They are closed without being mended.",
        ),
    )  # fmt: skip
    buttons = ("waive",)
    next_step = NextStep(
        text="Nothing was refused. When new data of a table cannot be published, the last good "
        "version stays in service and the reason is found here."
    )

    @admin.display(description="about")
    def about(self, incident: Incident) -> str:
        """Show what it concerns."""
        return _subject(incident)

    @admin.display(description="opened", ordering="opened_at")
    def opened(self, incident: Incident) -> SafeString:
        """Show since when."""
        return markup.when(incident.opened_at)

    @admin.display(description="state")
    def state(self, incident: Incident) -> SafeString:
        """Show whether it waits for somebody."""
        if incident.closed_at is None:
            return markup.badge("open", Tone.BAD)
        if incident.waived_by is not None:
            return markup.badge("waived", Tone.WARN)
        return markup.badge("over", Tone.GOOD)

    @button("Waive", icon="done_all", confirm="Close this incident without it being mended?")
    def waive(self, request: HttpRequest, incident: Incident) -> None:
        """Close what does not matter."""
        by: Any = request.user
        incidents.waive(incident=incident, by=by)
        self.say(request, "The incident is closed.")

    def offered(self, request: HttpRequest, obj: Incident) -> tuple[str, ...]:
        """Offer to waive what is open."""
        return ("waive",) if obj.closed_at is None else ()

    def above(self, request: HttpRequest, obj: Incident) -> SafeString:
        """Return what happened, what to do, and whose table it is."""
        if obj.table is not None:
            subject = markup.link(page_of("catalog", "table", obj.table_id), obj.table)
        else:
            subject = markup.link(page_of("catalog", "source", obj.source_id), obj.source)
        told = markup.facts(
            [
                ("State", self.state(obj)),
                ("About", subject),
                ("Opened", markup.when(obj.opened_at)),
                ("Closed", markup.when(obj.closed_at, never="not yet")),
                ("Waived by", obj.waived_by or markup.NOTHING),
            ]
        )
        tone = Tone.BAD if obj.closed_at is None else Tone.PLAIN
        return markup.stack(
            markup.card(obj.get_kind_display(), told, aside=self.button_bar(request, obj)),
            markup.notice(markup.lines(obj.message, obj.hint), tone),
        )
