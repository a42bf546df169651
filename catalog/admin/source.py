"""Sources: where tables come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin.granted import GrantedAdmin
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, become, button
from agnes_site.core.admin.parts import joined
from agnes_site.core.markup import Tone
from catalog import connectors, panels
from catalog.admin import secret_fields, source_form
from catalog.admin.paneled import PaneledAdmin
from catalog.admin.rows import counted, incidents_card, table_rows, waive_from
from catalog.admin.source_removal import Removal
from catalog.admin.source_steps import Steps
from catalog.admin.timing import explained, facts_of_source
from catalog.models import Incident, Source, Table
from catalog.services import sources


@admin.register(Source)
class SourceAdmin(Removal, Steps, GrantedAdmin, PaneledAdmin):
    """Sources with their tables and what can be done with them."""

    registry = panels.sources
    granted_type = "source"
    list_display = ("named", "kind", "table_count", "freshness", "state")
    list_filter = ("is_paused", "source_type")
    search_fields = ("slug", "display_name")
    next_step = NextStep(
        text="A source is a system that tables come from: a folder of files, a database. Add the "
        "first one, then choose its tables.",
        label="Add a source",
        url_name="admin:catalog_source_add",
    )
    buttons = ("pause", "resume", "waive")
    error_fields = {  # noqa: RUF012 (declared as a class variable in the base)
        "source_exists": "slug",
        "schedule_invalid": "schedule",
    }

    def granted_id(self, obj: Source) -> str:
        """Return the name of the source, under which it is granted."""
        return obj.slug

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        """Return the sources with what their list shows."""
        found: QuerySet[Source] = super().get_queryset(request)
        tables = Table.objects.filter(source=OuterRef("pk")).order_by().values("source")
        incidents = Incident.objects.waiting().filter(
            Q(source=OuterRef("pk")) | Q(table__source=OuterRef("pk"))
        )
        newest = tables.annotate(newest=Max("current_version__created_at"))
        return found.annotate(
            tables_total=Coalesce(Subquery(tables.annotate(n=Count("pk")).values("n")), 0),
            published_at=Subquery(newest.values("newest")),
            incidents_open=Coalesce(Subquery(counted(incidents)), 0),
        )

    @admin.display(description="source", ordering="slug")
    def named(self, source: Source) -> SafeString:
        """Show both names."""
        return markup.lines(str(source), source.slug if source.display_name else "")

    @admin.display(description="type", ordering="source_type")
    def kind(self, source: Source) -> str:
        """Show the connector's own name."""
        found = connectors.installed().get(source.source_type)
        return found.display_name if found else source.source_type

    @admin.display(description="tables", ordering="tables_total")
    def table_count(self, source: Any) -> str:
        """Show how many tables come from it."""
        return human.number(source.tables_total)

    @admin.display(description="last new data", ordering="published_at")
    def freshness(self, source: Any) -> SafeString:
        """Show when the newest version of any of its tables was published."""
        return markup.when(source.published_at)

    @admin.display(description="state")
    def state(self, source: Any) -> SafeString:
        """Show whether something needs a person."""
        if source.incidents_open:
            return markup.badge(human.plural(source.incidents_open, "incident"), Tone.BAD)
        if source.is_paused:
            return markup.badge("paused", Tone.WARN)
        return markup.badge("active", Tone.GOOD)

    # The form ---------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the type of the source first: its settings follow from it."""
        if request.GET.get("source_type", "") in connectors.installed():
            title = {"title": f"Add a source: {self._connector(request, None).display_name}"}
            answer: HttpResponse = super().add_view(
                request, form_url, {**(extra_context or {}), **title}
            )
            return answer
        url = reverse("admin:catalog_source_add")
        choices = [
            (each.display_name, _first_line(each), f"{url}?source_type={each.source_type}")
            for each in connectors.installed().values()
            if not each.is_foreign
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": "Add a source: what kind is it?",
            "choices": choices,
            "problems": connectors.broken().values(),
            "note": "Extracts that another program writes into the folder of extracts need no "
            "source: they are found and added by themselves.",
        }
        return render(request, "web/choose.html", context)

    def get_form(
        self, request: HttpRequest, obj: Source | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form with the fields that the connector's settings need."""
        made = source_form.form_for(self._connector(request, obj), obj)
        return super().get_form(request, obj, change=change, **{**kwargs, "form": made})

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        """Return names, the settings of the connector, and when it runs."""
        return source_form.fieldsets_for(self._connector(request, obj), obj)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Let the schedule say what it means."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "schedule":
            explained(field.widget)
        return field

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: Any) -> None:
        """Add or change the source."""
        given = {
            name: form.cleaned_data[name]
            for name in ("display_name", "schedule", "is_paused", "concurrency")
        }
        given["secrets"] = secret_fields.given(form, form.connector)
        by: Any = request.user
        if change:
            fresh = Source.objects.get(pk=obj.pk)
            sources.change_source(source=fresh, by=by, config=form.settings, **given)
            return
        source_type = form.connector.source_type
        made = sources.add_source(
            slug=obj.slug, source_type=source_type, config=form.settings, by=by, **given
        )
        become(obj, made)

    def audited_as(self, obj: Source) -> Sequence[str]:
        """Return its name."""
        return [f"source/{obj.slug}"]

    # The page ---------------------------------------------------------------------------

    def offered(self, request: HttpRequest, obj: Source) -> Sequence[str]:
        """Offer to pause what runs, and to resume what is paused."""
        return ["resume"] if obj.is_paused else ["pause"]

    @button("Pause", icon="pause")
    def pause(self, request: HttpRequest, source: Source) -> None:
        """Let nothing of the source run by itself."""
        by: Any = request.user
        sources.change_source(source=source, by=by, is_paused=True)
        self.say(request, f"{source} is paused: its tables are brought anew only when asked for.")

    @button("Resume", icon="play_arrow")
    def resume(self, request: HttpRequest, source: Source) -> None:
        """Take the source in again."""
        by: Any = request.user
        sources.change_source(source=source, by=by, is_paused=False)
        self.say(request, f"{source} is active again.")

    @button("Waive", confirm="Close this incident without it being mended?")
    def waive(self, request: HttpRequest, source: Source) -> None:
        """Close an incident that does not matter."""
        waive_from(request, source)
        self.say(request, "The incident is closed.")

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the state of the source, its incidents, its tables and what apps add."""
        tables = obj.tables.select_related("current_version").order_by("name")
        by_name = f"{reverse('admin:catalog_table_changelist')}?source__id__exact={obj.pk}"
        shown = list(tables[:20])
        listed = markup.grid(
            ["Table", "State", "Rows", "Size", "Last new data"],
            table_rows(shown),
            empty="No table of this source is registered. Find its tables, or register one "
            "by hand.",
        )
        total = obj.tables_total
        more = markup.link(by_name, f"All {total:,} tables") if total > len(shown) else ""
        add = f"{reverse('admin:catalog_table_add')}?source={obj.pk}"
        state = markup.facts(
            [
                ("State", self.state(obj)),
                ("Type", self.kind(obj)),
                ("Tables", human.number(total)),
                ("Last new data", self.freshness(obj)),
                *facts_of_source(obj),
                ("Folder of the extract", markup.code(f"extracts/{obj.slug}")),
            ]
        )
        register = markup.go_button(add, "Register a table", icon="add")
        return markup.stack(
            markup.card(obj, state, aside=self.button_bar(request, obj)),
            incidents_card(self, request, obj),
            markup.card("Tables", listed, aside=joined([more, register])),
            *self.panels(request, obj),
            self.part(request, obj, "readers"),
        )

    def _connector(self, request: HttpRequest, obj: Source | None) -> connectors.Connector:
        return source_form.connector_of(request, obj)


def _first_line(connector: connectors.Connector) -> str:
    return (type(connector).__doc__ or "").strip().partition("\n")[0]
