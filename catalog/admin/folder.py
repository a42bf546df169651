"""Folders: tables that are granted together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin.granted import GrantedAdmin
from access.admin.history import HistoriedAdmin
from access.models import Grant
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, become, summary
from catalog.admin.rows import table_rows
from catalog.models import Folder
from catalog.services import folders

_SHOWN = 100


@admin.register(Folder)
class FolderAdmin(GrantedAdmin, HistoriedAdmin):
    """Folders and the tables in them."""

    list_display = ("named", "description", "table_count")
    search_fields = ("slug", "display_name", "description")
    fields = ("slug", "display_name", "description")
    next_step = NextStep(
        text="A folder groups tables, so that they can be granted as one: everything of finance, "
        "say. Tables are put into it on their own pages.",
        label="Add a folder",
        url_name="admin:catalog_folder_add",
    )

    granted_type = "folder"
    error_fields = {"folder_exists": "slug"}  # noqa: RUF012 (a class variable in the base)

    def granted_id(self, obj: Folder) -> str:
        """Return the name of the folder, under which it is granted."""
        return obj.slug

    def get_queryset(self, request: HttpRequest) -> QuerySet[Folder]:
        """Return the folders with the number of their tables."""
        found: QuerySet[Folder] = super().get_queryset(request)
        return found.annotate(tables_total=Count("tables"))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give the description as many lines as it needs at first."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "description":
            field.widget.attrs["rows"] = 3
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Folder | None = None) -> Sequence[str]:
        """Keep the name, which grants refer to."""
        return ("slug",) if obj else ()

    @admin.display(description="folder", ordering="slug")
    def named(self, folder: Folder) -> SafeString:
        """Show both names."""
        return markup.lines(str(folder), folder.slug if folder.display_name else "")

    @admin.display(description="tables", ordering="tables_total")
    def table_count(self, folder: Any) -> str:
        """Show how many tables are in it."""
        return human.number(folder.tables_total)

    def save_model(self, request: HttpRequest, obj: Folder, form: Any, change: Any) -> None:
        """Add or change the folder."""
        by: Any = request.user
        fields = {"display_name": obj.display_name, "description": obj.description}
        if change:
            folders.change_folder(folder=Folder.objects.get(pk=obj.pk), by=by, **fields)
        else:
            become(obj, folders.add_folder(slug=obj.slug, by=by, **fields))

    def delete_model(self, request: HttpRequest, obj: Folder) -> None:
        """Remove the folder."""
        by: Any = request.user
        folders.remove_folder(folder=obj, by=by)

    def audited_as(self, obj: Folder) -> Sequence[str]:
        """Return its name."""
        return [f"folder/{obj.slug}"]

    def goes_with(self, obj: Folder) -> Sequence[str]:
        """Say what else is gone."""
        held = Grant.objects.filter(resource_type="folder", resource_id=obj.slug).count()
        return summary(held, "grant")

    def below(self, request: HttpRequest, obj: Folder) -> SafeString:
        """Return the tables of the folder."""
        tables = obj.tables.select_related("current_version").order_by("name")[:_SHOWN]
        total = obj.tables.count()
        listed = markup.grid(
            ["Table", "State", "Rows", "Size", "Last new data"],
            table_rows(tables),
            empty="No table is in this folder. Open a table and choose the folder there.",
        )
        by_name = f"{reverse('admin:catalog_table_changelist')}?folder__id__exact={obj.pk}"
        more = markup.link(by_name, f"All {total:,} tables") if total > _SHOWN else ""
        return markup.stack(
            markup.card("Tables", listed, aside=more), self.part(request, obj, "readers")
        )
