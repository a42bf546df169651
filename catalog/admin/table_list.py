"""The list of tables: what is served, and how old it is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, OneOfManyFilter
from catalog import panels
from catalog.admin.filters import ColumnFilter, TableStateFilter
from catalog.admin.paneled import PaneledAdmin
from catalog.admin.rows import counted, table_state
from catalog.admin.table_bulk import TABLE_BULK
from catalog.models import Incident, Table


class TableList(PaneledAdmin):
    """The registry, as a list."""

    registry = panels.tables
    list_display = ("named", "origin", "state", "rows", "size", "freshness", "version", "problem")
    list_filter = (
        TableStateFilter,
        ("source", OneOfManyFilter),
        ("folder", OneOfManyFilter),
        ColumnFilter,
        "query_mode",
    )
    list_select_related = ("source", "current_version")
    search_fields = ("name", "display_name", "description", "names__name")
    search_help_text = "Search names, aliases and descriptions"
    bulk = TABLE_BULK
    next_step = NextStep(
        text="A table is registered before people can read it. Open a source and choose what to "
        "register from what it offers.",
        label="Go to the sources",
        url_name="admin:catalog_source_changelist",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Table]:
        """Return the tables with what their list shows."""
        found: QuerySet[Table] = super().get_queryset(request)
        waiting = Incident.objects.waiting().filter(table=OuterRef("pk"))
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
