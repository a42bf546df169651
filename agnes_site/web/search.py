"""Search across everything that the admin shows, for the window that ⌘K opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, Count, F, Model, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from access.models import Group, User
from agnes_site.core import human, slugs
from agnes_site.core.database import as_uuid
from catalog.models import Column, Folder, Source, Table, TableName
from extracts.models import Run

_SHOWN = 6
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing that was found."""

    title: str
    about: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What was found of one kind, and where all of it is listed."""

    kind: str
    icon: str
    found: list[Hit]
    all_url: str = ""


def search_page(request: HttpRequest) -> HttpResponse:
    """Answer what was typed with a piece of a page."""
    term = " ".join(request.GET.get("s", "").replace("\0", "").split())[:_LONGEST]
    return render(request, "web/search_results.html", {"term": term, "kinds": find(term)})


def find(term: str) -> list[Hits]:
    """Return what there is of each kind with ``term`` in its names, the closest first."""
    if len(term) < 2:
        return []
    kinds = (look(term) for look in _KINDS)
    return [hits for hits in kinds if hits.found]


def _tables(term: str) -> Hits:
    matched = Q(name__icontains=term) | Q(display_name__icontains=term)
    matched |= Q(description__icontains=term) | Q(pk__in=_with_alias(term))
    found = _closest(Table.objects.filter(matched).select_related("source"), "name", term)
    hits = [
        Hit(title=table.name, about=_told(_other(table), f"in {table.source}"), url=_page(table))
        for table in found
    ]
    return _listed("Tables", "table", hits, "catalog_table", term)


def _with_alias(term: str) -> QuerySet[Any, Any]:
    return TableName.objects.filter(folded__contains=slugs.folded(term), is_alias=True).values(
        "table"
    )


def _sources(term: str) -> Hits:
    found = Source.objects.filter(Q(slug__icontains=term) | Q(display_name__icontains=term))
    hits = [
        Hit(title=str(source), about=_told(source.slug, source.source_type), url=_page(source))
        for source in _closest(found, "slug", term)
    ]
    return _listed("Sources", "cable", hits, "catalog_source", term)


def _columns(term: str) -> Hits:
    matched = Column.objects.filter(Q(name__icontains=term) | Q(description__icontains=term))
    names = _closest(matched.order_by().values("name").annotate(n=Count("pk")), "name", term)
    tables = f"{_list('catalog_table')}?"
    return Hits(
        kind="Columns",
        icon="view_column",
        found=[
            Hit(
                title=each["name"],
                about=f"in {human.plural(each['n'], 'table')}",
                url=tables + urlencode({"column": each["name"]}),
            )
            for each in names
        ],
    )


def _folders(term: str) -> Hits:
    found = Folder.objects.filter(
        Q(slug__icontains=term) | Q(display_name__icontains=term) | Q(description__icontains=term)
    )
    hits = [
        Hit(title=str(folder), about=_told(folder.slug, folder.description), url=_page(folder))
        for folder in _closest(found, "slug", term)
    ]
    return _listed("Folders", "folder", hits, "catalog_folder", term)


def _users(term: str) -> Hits:
    found = User.objects.filter(Q(email__icontains=term) | Q(name__icontains=term))
    hits = [
        Hit(
            title=str(user),
            about=_told(user.email if user.name else "", "" if user.is_active else "inactive"),
            url=_page(user),
        )
        for user in _closest(found, "email", term)
    ]
    return _listed("Users", "person", hits, "access_user", term)


def _groups(term: str) -> Hits:
    found = Group.objects.filter(Q(name__icontains=term) | Q(description__icontains=term))
    hits = [
        Hit(title=group.name, about=group.description, url=_page(group))
        for group in _closest(found, "name", term)
    ]
    return _listed("Groups", "group", hits, "access_group", term)


def _runs(term: str) -> Hits:
    found = Run.objects.select_related("table", "source")
    run_id = as_uuid(term)
    if run_id is not None:
        chosen = found.filter(pk=run_id)
    else:
        tables = Table.objects.filter(name__istartswith=term).order_by("name")[:_SHOWN]
        chosen = found.filter(table__in=[table.pk for table in tables])
    hits = [
        Hit(
            title=str(run),
            about=_told(run.get_state_display().lower(), f"{run.queued_at:%Y-%m-%d %H:%M} UTC"),
            url=_page(run),
        )
        for run in chosen.order_by("-queued_at")[:_SHOWN]
    ]
    return _listed("Runs", "sync", hits, "extracts_run", term)


_KINDS: tuple[Callable[[str], Hits], ...] = (
    _tables, _sources, _columns, _folders, _users, _groups, _runs,
)  # fmt: skip


def _closest(found: QuerySet[Any, Any], name: str, term: str) -> Iterable[Any]:
    """Return the first few: what is called so, what begins so, and the rest by name."""
    nearness = Case(
        When(**{f"{name}__iexact": term, "then": Value(0)}),
        When(**{f"{name}__istartswith": term, "then": Value(1)}),
        default=Value(2),
    )
    ordered: Iterable[Any] = found.order_by(nearness, F(name))[:_SHOWN]
    return ordered


def _listed(kind: str, icon: str, hits: list[Hit], model: str, term: str) -> Hits:
    has_more = len(hits) == _SHOWN
    url = f"{_list(model)}?{urlencode({'q': term})}" if has_more else ""
    return Hits(kind=kind, icon=icon, found=hits, all_url=url)


def _other(table: Table) -> str:
    return table.display_name or table.description[:80]


def _told(*parts: str) -> str:
    return " · ".join(_filled(parts))


def _filled(parts: Iterable[str]) -> Iterator[str]:
    return (part for part in parts if part)


def _page(found: Model) -> str:
    meta = found._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk])


def _list(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
