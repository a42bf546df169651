"""Tables: what is registered, which version is served, who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from access.models import Grant
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, OneOfManyFilter, become, button, summary
from catalog import connectors, panels
from catalog.admin import readers, settings_form
from catalog.admin.column import ColumnInline
from catalog.admin.filters import ColumnFilter, TableStateFilter
from catalog.admin.paneled import PaneledAdmin, page_of
from catalog.admin.rows import counted, incidents_card, table_state, waive_from
from catalog.admin.table_form import ABOUT, LINES, ORIGIN, UPKEEP, TableForm
from catalog.admin.version import versions_card
from catalog.models import Incident, Source, Table
from catalog.services import registry, versions


@admin.register(Table)
class TableAdmin(PaneledAdmin):
    """The registry."""

    registry = panels.tables
    list_display = ("named", "origin", "state", "rows", "size", "freshness", "version", "problem")
    list_filter = (
        TableStateFilter,
        ("source", OneOfManyFilter),
        ("folder", OneOfManyFilter),
        "query_mode",
        ColumnFilter,
    )
    list_select_related = ("source", "current_version")
    search_fields = ("name", "display_name", "description", "names__name")
    search_help_text = "Search names, aliases and descriptions"
    autocomplete_fields = ("owner",)
    inlines = (ColumnInline,)
    next_step = NextStep(
        text="A table is registered before people can read it. Open a source and choose what to "
        "register from what it offers.",
        label="Go to the sources",
        url_name="admin:catalog_source_changelist",
    )
    buttons = ("release", "roll_back", "waive", "grant", "revoke_grant")
    error_fields = {  # noqa: RUF012 (declared as a class variable in the base)
        "table_exists": "new_name",
        "table_invalid": "new_name",
        "schedule_invalid": "sync_schedule",
        "query_mode_unsupported": "query_mode",
    }

    def audited_as(self, obj: Table) -> Sequence[str]:
        """Return its name."""
        return [f"table/{obj.name}"]

    # The list ---------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Table]:
        """Return the tables with what their list shows."""
        found: QuerySet[Table] = super().get_queryset(request)
        waiting = Incident.objects.filter(table=OuterRef("pk"), closed_at=None)
        return found.select_related("source", "folder", "current_version").annotate(
            incidents_open=Coalesce(Subquery(counted(waiting)), 0),
            incident_message=Subquery(waiting.values("message")[:1]),
        )

    @admin.display(description="table", ordering="name")
    def named(self, table: Table) -> SafeString:
        """Show both names."""
        return markup.lines(table.name, table.display_name)

    @admin.display(description="source", ordering="source__slug")
    def origin(self, table: Table) -> str:
        """Show where it comes from."""
        return str(table.source)

    @admin.display(description="state")
    def state(self, table: Any) -> SafeString:
        """Show whether it is served."""
        return table_state(table, open_incidents=table.incidents_open)

    @admin.display(description="rows", ordering="current_version__rows")
    def rows(self, table: Table) -> str:
        """Show how many rows are served."""
        return human.number(table.current_version.rows if table.current_version else None)

    @admin.display(description="size", ordering="current_version__bytes")
    def size(self, table: Table) -> str:
        """Show how large the served files are."""
        return human.size(table.current_version.bytes if table.current_version else None)

    @admin.display(description="last new data", ordering="current_version__created_at")
    def freshness(self, table: Table) -> SafeString:
        """Show when the served version was published."""
        return markup.when(table.current_version.created_at if table.current_version else None)

    @admin.display(description="version", ordering="current_version__number")
    def version(self, table: Table) -> str:
        """Show the number of the served version."""
        return str(table.current_version.number) if table.current_version else "—"

    @admin.display(description="problem")
    def problem(self, table: Any) -> SafeString:
        """Show the first words of an open incident."""
        if not table.incident_message:
            return mark_safe("")
        text = table.incident_message
        return markup.faint(text if len(text) <= 80 else f"{text[:79]}…")

    # The form ---------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the source first: what can be said of a table follows from it."""
        source = self._chosen_source(request)
        if source is not None:
            title = {"title": f"Register a table of {source}"}
            answer: HttpResponse = super().add_view(
                request, form_url, {**(extra_context or {}), **title}
            )
            return answer
        known = Source.objects.annotate(tables_total=Count("tables"))
        if not known:
            self.say(request, "Add a source first: tables come from one.", level=messages.INFO)
            return Redirect(reverse("admin:catalog_source_add"))
        url = reverse("admin:catalog_table_add")
        context = {
            **self.admin_site.each_context(request),
            "title": "Register a table: where does it come from?",
            "choices": [
                (str(each), human.plural(each.tables_total, "table"), f"{url}?source={each.pk}")
                for each in known
            ],
            "note": "The page of a source lists what it offers, ready to be registered.",
        }
        return render(request, "web/choose.html", context)

    def get_form(
        self, request: HttpRequest, obj: Table | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form with the fields that the connector wants for a table."""
        connector = self._connector(request, obj)
        values = obj.options if obj else {}
        fields = settings_form.form_fields(connector.table_schema, values)
        made = type("TableForm", (TableForm,), {**fields, "connector": connector})
        return super().get_form(request, obj, change=change, **{**kwargs, "form": made})

    def get_fieldsets(self, request: HttpRequest, obj: Table | None = None) -> Any:
        """Return what it is, where it comes from, and how it is kept up."""
        connector = self._connector(request, obj)
        settings = settings_form.names(connector.table_schema)
        folded = ("collapse",) if obj else ()
        first = ABOUT if obj else ("new_name", "source_table", *ABOUT)
        origin = ORIGIN if obj else ORIGIN[1:]
        return [
            (None, {"fields": first}),
            ("Where it comes from", {"fields": (*origin, *settings), "classes": folded}),
            ("How it is kept up", {"fields": UPKEEP, "classes": folded}),
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give long texts as many lines as they need at first."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in LINES:
            field.widget.attrs["rows"] = LINES[db_field.name]
        return field

    def get_inlines(self, request: HttpRequest, obj: Table | None = None) -> Any:
        """Return the columns of a table that has some."""
        return self.inlines if obj and obj.current_version_id else ()

    def save_model(self, request: HttpRequest, obj: Table, form: Any, change: Any) -> None:
        """Register or change the table."""
        by: Any = request.user
        fields = {name: form.cleaned_data[name] for name in (*ABOUT, *ORIGIN, *UPKEEP)}
        fields["options"] = form.settings
        fields["primary_key"] = fields["primary_key"] or []
        if change:
            registry.update_table(table=obj, by=by, **fields)
            return
        folder = fields.pop("folder")
        if not fields["display_name"]:
            del fields["display_name"]  # then it is the name as it was typed
        source = self._chosen_source(request)
        assert source is not None
        made = registry.register_table(
            source=source,
            name=form.cleaned_data["new_name"],
            by=by,
            folder=folder.slug if folder else "",
            **fields,
        )
        become(obj, made)

    def delete_model(self, request: HttpRequest, obj: Table) -> None:
        """Unregister the table."""
        by: Any = request.user
        registry.unregister_table(table=obj, by=by)

    def goes_with(self, obj: Table) -> Sequence[str]:
        """Say what else is gone."""
        held = Grant.objects.filter(resource_type="table", resource_id=obj.name).count()
        return [*summary(obj.versions.count(), "version"), *summary(held, "grant")]

    # The page ---------------------------------------------------------------------------

    def offered(self, request: HttpRequest, obj: Table) -> Sequence[str]:
        """Offer to release what is pinned; the others stand at what they are about."""
        return ["release"] if obj.is_pinned else []

    @button("Release", icon="lock_open")
    def release(self, request: HttpRequest, table: Table) -> None:
        """Let new versions in again."""
        by: Any = request.user
        versions.release(table=table, by=by)
        self.say(request, f"{table.name} is released: the next run may publish.")

    @button(
        "Roll back to this",
        confirm="Serve this version again, and let no new one in until the table is released?",
    )
    def roll_back(self, request: HttpRequest, table: Table) -> None:
        """Serve an older version again."""
        number = request.POST.get("number", "")
        if not number.isdecimal():
            raise versions.VersionNotFoundError("Say which version to roll back to.")
        by: Any = request.user
        versions.roll_back(table=table, number=int(number), by=by)
        self.say(request, f"{table.name} serves version {number} again, until it is released.")

    @button("Waive", confirm="Close this incident without it being mended?")
    def waive(self, request: HttpRequest, table: Table) -> None:
        """Close an incident that does not matter."""
        waive_from(request, table)
        self.say(request, "The incident is closed.")

    @button("Grant")
    def grant(self, request: HttpRequest, table: Table) -> None:
        """Let a group read the table."""
        self.say(request, readers.give_from(request, table))

    @button("Revoke", confirm="Take this grant away?")
    def revoke_grant(self, request: HttpRequest, table: Table) -> None:
        """Take a grant away."""
        self.say(request, readers.take_from(request, table))

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the state of the table, its incidents, what apps add, its versions and readers."""
        source = markup.link(page_of("catalog", "source", obj.source_id), obj.source)
        state = markup.facts(
            [
                ("State", self.state(obj)),
                ("Rows", self.rows(obj)),
                ("Size", self.size(obj)),
                ("Last new data", self.freshness(obj)),
                ("Version", self.version(obj)),
                ("Source", source),
                ("Folder", obj.folder or markup.NOTHING),
                ("Query mode", obj.get_query_mode_display()),
            ]
        )
        return markup.stack(
            markup.card(
                markup.lines(str(obj), obj.name if obj.display_name else ""),
                state,
                aside=self.button_bar(request, obj),
            ),
            incidents_card(self, request, obj, obj.incidents),
            *self.panels(request, obj),
            versions_card(self, request, obj),
            readers.readers_card(self, request, obj),
        )

    def _chosen_source(self, request: HttpRequest) -> Source | None:
        chosen = request.GET.get("source", "")
        try:
            return Source.objects.filter(pk=chosen).first() if chosen else None
        except (ValueError, forms.ValidationError):
            return None

    def _connector(self, request: HttpRequest, obj: Table | None) -> connectors.Connector:
        source = obj.source if obj else self._chosen_source(request)
        return connectors.get(source.source_type if source else "files")
