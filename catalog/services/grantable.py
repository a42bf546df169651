"""What of the catalog can be granted: tables, folders, sources."""

from __future__ import annotations

from collections.abc import Iterator

from access.resources import Resource, ResourceType, register
from catalog.models import Folder, Source, Table
from catalog.services import registry


def register_all() -> None:
    """Tell ``access`` about the three."""
    register(
        ResourceType(
            key="table", display_name="Table", description="One table.",
            id_format="<table>", find=_find_table, listed=_tables,
        )
    )  # fmt: skip
    register(
        ResourceType(
            key="folder", display_name="Folder", description="All tables of a folder.",
            id_format="<folder>", find=_find_folder, listed=_folders,
        )
    )  # fmt: skip
    register(
        ResourceType(
            key="source", display_name="Source", description="All tables of a source.",
            id_format="<source>", find=_find_source, listed=_sources,
        )
    )  # fmt: skip


def _find_table(name: str) -> str | None:
    found = registry.find_name(name)
    return found.table.name if found else None


def _find_folder(name: str) -> str | None:
    return Folder.objects.filter(slug__iexact=name).values_list("slug", flat=True).first()


def _find_source(name: str) -> str | None:
    return Source.objects.filter(slug__iexact=name).values_list("slug", flat=True).first()


def _tables() -> Iterator[Resource]:
    for table in Table.objects.select_related("source").order_by("source__slug", "name"):
        yield Resource(id=table.name, name=str(table), category=table.source.slug)


def _folders() -> Iterator[Resource]:
    for folder in Folder.objects.all():
        yield Resource(id=folder.slug, name=str(folder))


def _sources() -> Iterator[Resource]:
    for source in Source.objects.all():
        yield Resource(id=source.slug, name=str(source), category=source.source_type)
