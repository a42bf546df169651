"""By what lists of the catalog are limited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import Incident, Table


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
        waiting = Incident.objects.filter(closed_at=None).values("table")
        match self.value():
            case "served":
                return queryset.filter(current_version__isnull=False)
            case "empty":
                return queryset.filter(current_version__isnull=True)
            case "incident":
                return queryset.filter(pk__in=waiting.filter(table__isnull=False))
            case "pinned":
                return queryset.filter(is_pinned=True)
        return queryset
