"""What the work adds to the pages of tables and sources: runs, and what can be started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from agnes_site.core.markup import Tone
from catalog import connectors, panels
from catalog.connectors import Capability, QueryMode
from catalog.models import Source, Table
from catalog.panels import Action, ListColumn, Panel
from extracts.finding import find_tables
from extracts.models import Run, RunState
from extracts.services import probing, runs

TONES = {
    RunState.QUEUED: Tone.PLAIN,
    RunState.RUNNING: Tone.BUSY,
    RunState.SUCCEEDED: Tone.GOOD,
    RunState.FAILED: Tone.BAD,
    RunState.CANCELLED: Tone.WARN,
    RunState.SKIPPED: Tone.PLAIN,
}


def register_all() -> None:
    """Tell the catalog's pages about runs."""
    panels.tables.add(
        Action(
            key="extract", label="Extract now", icon="sync", is_main=True, do=_extract_table,
            fits=lambda table: table.query_mode != QueryMode.REMOTE,
        ),
        Panel(key="runs", render=_runs_of_table),
        ListColumn(key="last_run", title="last run", values=_last_of_tables),
    )  # fmt: skip
    panels.sources.add(
        Action(key="find", label="Find tables", icon="search", is_main=True, is_page=True,
               do=find_tables, fits=_can_discover),
        Action(key="extract", label="Extract all tables now", icon="sync", do=_extract_source,
               fits=_has_tables),
        Action(key="test", label="Test connection", icon="cable", do=_test),
        Panel(key="runs", render=_runs_of_source),
        ListColumn(key="last_run", title="last run", values=_last_of_sources),
    )  # fmt: skip


def page_of(run: Run) -> str:
    """Return the address of the page of a run."""
    return reverse("admin:extracts_run_change", args=[run.pk])


def state_badge(run: Run) -> SafeString:
    """Return the state of a run in one word."""
    return markup.badge(run.get_state_display().lower(), TONES[RunState(run.state)])


def runs_grid(found: Iterable[Run], *, empty: str, with_subject: bool = False) -> SafeString:
    """Return runs as a table of when, state, duration, rows and what went wrong."""
    rows = [
        [
            markup.link(page_of(run), markup.when(run.queued_at)),
            *([run.table or run.source or "everything"] if with_subject else []),
            run.get_kind_display(),
            state_badge(run),
            took(run),
            human.number(run.rows),
            _told(run),
        ]
        for run in found
    ]
    subject = ["Of"] if with_subject else []
    headers = ["Asked for", *subject, "Kind", "State", "Took", "Rows", "What happened"]
    return markup.grid(headers, rows, empty=empty)


def _told(run: Run) -> SafeString | str:
    text = run.error_message[:160] or (run.phase if run.is_open else "")
    return markup.faint(text) if text else ""


def took(run: Run) -> str:
    """Return how long a run took."""
    if run.started_at is None or run.finished_at is None:
        return "—"
    return human.duration((run.finished_at - run.started_at).total_seconds())


def _extract_table(request: HttpRequest, table: Table) -> HttpResponse:
    by: Any = request.user
    run, is_new = runs.request_run(table=table, by=by)
    if not is_new:
        messages.info(request, "This table is being extracted already.")
    return Redirect(page_of(run))


def _extract_source(request: HttpRequest, source: Source) -> HttpResponse:
    by: Any = request.user
    tables = source.tables.exclude(query_mode=QueryMode.REMOTE).select_related("source")
    asked = [runs.request_run(table=table, by=by) for table in tables]
    new = sum(is_new for _, is_new in asked)
    messages.success(request, f"Asked for {human.plural(new, 'run')}.")
    return Redirect(_runs_url(source))


def _test(request: HttpRequest, source: Source) -> None:
    messages.success(request, f"The connection works: {probing.test_connection(source)}")


def _can_discover(source: Source) -> bool:
    connector = connectors.installed().get(source.source_type)
    return (
        connector is not None
        and Capability.DISCOVER in connector.capabilities
        and not connector.is_foreign
    )


def _has_tables(source: Source) -> bool:
    return source.tables.exists()


def _runs_of_table(request: HttpRequest, table: Table) -> SafeString:
    found = Run.objects.filter(table=table).select_related("table", "source")[:6]
    everything = f"{reverse('admin:extracts_run_changelist')}?table__id__exact={table.pk}"
    listed = runs_grid(found, empty="No run yet. “Extract now” asks for the first one.")
    return markup.card("Recent runs", listed, aside=markup.link(everything, "All runs"))


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
