"""Columns, as rows on the page of their table."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from agnes_site.core.admin import RowsInline
from catalog.models import Column
from catalog.services import descriptions


class ColumnInline(RowsInline):
    """The columns of the current version; their descriptions can be written."""

    model = Column
    tab = False
    fields = ("name", "type", "empty", "description")
    readonly_fields = ("name", "type", "empty")
    per_page = 200

    @admin.display(description="may be empty")
    def empty(self, column: Column) -> str:
        """Show whether there are rows without a value."""
        return "yes" if column.nullable else "never"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say that columns come with a version."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say that columns go with a version."""
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give descriptions one line."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "description":
            field.widget.attrs |= {"rows": 1, "placeholder": "What does it hold?"}
        return field

    def change_row(self, request: HttpRequest, row: Column) -> None:
        """Write the description."""
        by: Any = request.user
        descriptions.describe_column(column=row, description=row.description, by=by)
