"""What the work adds to the page of a source: its tables found and extracted, its runs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.urls import reverse
from django.utils.safestring import SafeString

from agnes_site.core import human, markup
from catalog import panels
from catalog.models import Source
from catalog.panels import Action, Panel, Trial
from extracts.admin import find_tables
from extracts.admin.shown import runs_grid
from extracts.models import Run, RunTrigger
from extracts.services import runs


def register() -> None:
    """Tell the page of a source about runs."""
    panels.sources.add(
        Action(key="find", label="Find tables", icon="search", is_main=True, is_page=True,
               is_next=True, do=find_tables.find_tables, fits=find_tables.can_discover),
        Action(key="extract", label="Extract all tables now", icon="sync", do=_extract_source,
               fits=_has_tables),
        Trial(key="test", label="Test connection", icon="cable", do=find_tables.try_connection),
        Trial(key="impact", do=find_tables.try_impact),
        Panel(key="runs", render=_runs_of_source),
    )  # fmt: skip


def _extract_source(request: HttpRequest, source: Source) -> HttpResponse:
    by: Any = request.user
    tables = list(source.tables.with_copies().filter(is_pinned=False).select_related("source"))
    asked = runs.request_runs(tables=tables, by=by, trigger=RunTrigger.MANUAL)
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
