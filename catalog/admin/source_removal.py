"""Removing a source: with the tables that come from it, once its name was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse

from agnes_site.core import human
from agnes_site.core.admin import Admin, summary
from agnes_site.core.errors import InvalidInputError
from catalog.models import Source, Table
from catalog.services import removal

_LISTED = 100


class NameNotTypedError(InvalidInputError):
    """What removes more than one thing asks for the name, and it was not typed."""

    code = "name_not_typed"
    hint = "Delete it on its own page, and type its name there as it is shown."


class Removal(Admin):
    """The question before a source is removed."""

    delete_confirmation_template = "catalog/remove_source.html"

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, with the tables that would go listed."""
        source = self.get_object(request, object_id)
        context = {**(extra_context or {})}
        if source is not None:
            tables = source.tables.select_related("current_version").order_by("name")
            total = tables.count()
            listed = [(table, _rows(table)) for table in tables[:_LISTED]]
            context |= {"tables": listed, "total": total, "hidden": total - _LISTED}
        return super().delete_view(request, object_id, context)

    def delete_model(self, request: HttpRequest, obj: Source) -> None:
        """Remove the source, and its tables where its name was typed."""
        by: Any = request.user
        has_tables = obj.tables.exists()
        if has_tables and request.POST.get("typed_name", "").strip() != obj.slug:
            raise NameNotTypedError(f"To remove {obj} with its tables, its name must be typed.")
        removal.remove_source(source=obj, by=by, with_tables=has_tables)

    def goes_with(self, obj: Source) -> Sequence[str]:
        """Say what else is gone."""
        return summary(obj.tables.count(), "table")


def _rows(table: Table) -> str:
    version = table.current_version
    return human.plural(version.rows, "row") if version else ""
