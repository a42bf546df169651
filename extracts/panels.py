"""What the work adds to the pages of tables and sources: runs, and what can be started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agnes_site.core import human, markup
from catalog import panels
from catalog.models import Source, Table
from catalog.panels import Action, ListColumn, Panel, Trial
from extracts import finding, rejected_panel, table_panels
from extracts.models import Run
from extracts.services import runs
from extracts.shown import page_of, runs_grid, state_badge


def register_all() -> None:
    """Tell the catalog's pages about runs."""
    table_panels.register()
    rejected_panel.register()
    panels.tables.add(ListColumn(key="last_run", title="last run", values=_last_of_tables))
    panels.sources.add(
        Action(key="find", label="Find tables", icon="search", is_main=True, is_page=True,
               is_next=True, do=finding.find_tables, fits=finding.can_discover),
        Action(key="extract", label="Extract all tables now", icon="sync", do=_extract_source,
               fits=_has_tables),
        Trial(key="test", label="Test connection", icon="cable", do=finding.try_connection),
        Trial(key="impact", do=finding.try_impact),
        Panel(key="runs", render=_runs_of_source),
        ListColumn(key="last_run", title="last run", values=_last_of_sources),
    )  # fmt: skip


def _extract_source(request: HttpRequest, source: Source) -> HttpResponse:
    by: Any = request.user
    tables = source.tables.with_copies().filter(is_pinned=False).select_related("source")
    asked = [runs.request_run(table=table, by=by) for table in tables]
    new = sum(is_new for _, is_new in asked)
    messages.success(request, f"Asked for {human.plural(new, 'run')}.")
    return Redirect(_runs_url(source))


def _has_tables(source: Source) -> bool:
    return source.tables.with_copies().exists()


def _runs_of_source(request: HttpRequest, source: Source) -> SafeString:
    found = Run.objects.filter(source=source).select_related("table", "source")[:8]
    empty = "No run yet. Register tables of this source, then extract them."
    listed = runs_grid(found, empty=empty, with_subject=True)
    return markup.card("Recent runs", listed, aside=markup.link(_runs_url(source), "All runs"))


def _runs_url(source: Source) -> str:
    return f"{reverse('admin:extracts_run_changelist')}?source__id__exact={source.pk}"


def _last_of_tables(tables: Sequence[Table]) -> Mapping[UUID, SafeString]:
    newest = Run.objects.filter(table=OuterRef("pk")).order_by("-queued_at").values("pk")[:1]
    return _last(Table.objects, tables, newest)


def _last_of_sources(sources: Sequence[Source]) -> Mapping[UUID, SafeString]:
    newest = Run.objects.filter(source=OuterRef("pk")).order_by("-queued_at").values("pk")[:1]
    return _last(Source.objects, sources, newest)


def _last(manager: Any, subjects: Sequence[Any], newest: Any) -> dict[UUID, SafeString]:
    pairs = dict(
        manager.filter(pk__in=[subject.pk for subject in subjects])
        .annotate(run_pk=Subquery(newest))
        .values_list("pk", "run_pk")
    )
    found = Run.objects.in_bulk([run for run in pairs.values() if run is not None])
    return {
        pk: format_html('<a href="{}">{}</a>', page_of(found[run]), state_badge(found[run]))
        for pk, run in pairs.items()
        if run in found
    }
