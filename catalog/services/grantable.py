"""What of the catalog can be granted: tables, folders, sources."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q

from access.resources import Resource, ResourceType, register
from agnes_site.core import human
from catalog.models import Folder, Source, Table
from catalog.services import registry


def register_all() -> None:
    """Tell ``access`` about the three."""
    register(
        ResourceType(
            key="table", display_name="Table", description="One table.",
            id_format="<table>", find=_find_table, search=_search_tables,
            covering=_covering_table,
        )
    )  # fmt: skip
    register(
        ResourceType(
            key="folder", display_name="Folder", description="All tables of a folder.",
            id_format="<folder>", find=_find_folder, search=_search_folders,
            covering=lambda slug: [("folder", slug)], extent=_extent_of_folder,
        )
    )  # fmt: skip
    register(
        ResourceType(
            key="source", display_name="Source", description="All tables of a source.",
            id_format="<source>", find=_find_source, search=_search_sources,
            covering=lambda slug: [("source", slug)], extent=_extent_of_source,
        )
    )  # fmt: skip


def _find_table(name: str) -> str | None:
    found = registry.find_name(name)
    return found.table.name if found else None


def _find_folder(name: str) -> str | None:
    return Folder.objects.filter(slug__iexact=name).values_list("slug", flat=True).first()


def _find_source(name: str) -> str | None:
    return Source.objects.filter(slug__iexact=name).values_list("slug", flat=True).first()


def covering_table(table: Table) -> list[tuple[str, str]]:
    """Return type and id of all whose grants let people read ``table``, itself first."""
    found = [("table", table.name), ("source", table.source.slug)]
    if table.folder is not None:
        found.append(("folder", table.folder.slug))
    return found


def _covering_table(name: str) -> list[tuple[str, str]]:
    table = Table.objects.select_related("source", "folder").filter(name=name).first()
    return covering_table(table) if table else [("table", name)]


def _search_tables(text: str, limit: int) -> Iterator[Resource]:
    found = Table.objects.select_related("source").order_by("name")
    if text:
        found = found.filter(Q(name__icontains=text) | Q(display_name__icontains=text))
    for table in found[:limit]:
        yield Resource(id=table.name, name=str(table), category=table.source.slug)


def _search_folders(text: str, limit: int) -> Iterator[Resource]:
    found = Folder.objects.filter(Q(slug__icontains=text) | Q(display_name__icontains=text))
    for folder in found[:limit]:
        yield Resource(id=folder.slug, name=str(folder))


def _search_sources(text: str, limit: int) -> Iterator[Resource]:
    found = Source.objects.filter(Q(slug__icontains=text) | Q(display_name__icontains=text))
    for source in found[:limit]:
        yield Resource(id=source.slug, name=str(source), category=source.source_type)


def _extent_of_folder(slug: str) -> str:
    return _extent(Table.objects.filter(folder__slug=slug).count())


def _extent_of_source(slug: str) -> str:
    return _extent(Table.objects.filter(source__slug=slug).count())


def _extent(count: int) -> str:
    return f"{human.plural(count, 'table')} now, and each that is added later"
