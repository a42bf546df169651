"""By what lists of the catalog are limited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import Column, Incident, Table


class ColumnFilter(admin.SimpleListFilter):
    """Which tables have a column of this name; offered by the search alone."""

    title = "column"
    parameter_name = "column"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the column that is asked for: there are too many to offer them."""
        name = request.GET.get(self.parameter_name, "")
        return [(name, name)] if name else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Table]) -> QuerySet[Table]:
        """Limit the tables to those with the column."""
        if not self.value():
            return queryset
        return queryset.filter(pk__in=Column.objects.filter(name=self.value()).values("table"))


class TableStateFilter(admin.SimpleListFilter):
    """Whether a table is served."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [
            ("served", "Served"),
            ("empty", "No data yet"),
            ("incident", "With an incident"),
            ("pinned", "Pinned"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Table]) -> QuerySet[Table]:
        """Limit the tables to the chosen state."""
        waiting = Incident.objects.waiting().values("table")
        match self.value():
            case "served":
                return queryset.filter(current_version__isnull=False)
            case "empty":
                copies = Table.objects.with_copies()
                return queryset.filter(pk__in=copies.filter(current_version=None).values("pk"))
            case "incident":
                return queryset.filter(pk__in=waiting.filter(table__isnull=False))
            case "pinned":
                return queryset.filter(is_pinned=True)
        return queryset
