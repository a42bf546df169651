"""What the work adds to the page of a table: extract now, its progress, its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.admin import BulkAction, Step
from agnes_site.core.admin.parts import joined, paged, pager
from agnes_site.core.markup import Tone
from agnes_site.core.sparkline import Bar, sparkline
from catalog import panels
from catalog.connectors import QueryMode, SyncStrategy
from catalog.models import Table
from catalog.panels import Action, Panel
from extracts.admin.shown import TONES, live, page_of, runs_grid, state_badge, took
from extracts.models import Run, RunKind, RunState
from extracts.services import runs

_SIZE = 10
_DRAWN = 30


def register() -> None:
    """Tell the page of a table about runs."""
    panels.tables.add(
        Action(
            key="extract", label="Extract now", icon="sync", is_main=True, do=_extract,
            fits=lambda table: table.query_mode != QueryMode.REMOTE and not table.is_pinned,
            part="facts",
        ),
        Action(
            key="extract_full", label="Extract in full", icon="restart_alt", do=_extract_in_full,
            fits=lambda table: table.sync_strategy == SyncStrategy.INCREMENTAL
            and not table.is_pinned,
            part="facts",
        ),
        Action(key="cancel", label="Cancel", do=_cancel, fits=lambda table: False),
        Panel(key="durations", render=_durations, section="state"),
        Panel(key="now", render=_now, section="state"),
        Panel(key="runs", render=_runs),
        BulkAction(
            key="extract", label="Extract now", confirm="Extract", done="Extract asked for",
            plan=_plan, do=lambda table, values, by: runs.request_run(table=table, by=by),
        ),
    )  # fmt: skip


def _extract(request: HttpRequest, table: Table) -> HttpResponse:
    return _ask_for_run(request, table, is_full=False)


def _extract_in_full(request: HttpRequest, table: Table) -> HttpResponse:
    return _ask_for_run(request, table, is_full=True)


def _ask_for_run(request: HttpRequest, table: Table, *, is_full: bool) -> HttpResponse:
    by: Any = request.user
    run, is_new = runs.request_run(table=table, by=by, is_full=is_full)
    if not is_new:
        messages.info(request, "This table is being extracted already.")
    return Redirect(page_of(run))


def _cancel(request: HttpRequest, table: Table) -> None:
    run = get_object_or_404(Run.objects.filter(table=table), pk=request.POST.get("run"))
    by: Any = request.user
    runs.cancel(run=run, by=by)
    messages.success(request, "The run is cancelled; its worker stops within seconds.")


def _plan(tables: Sequence[Table], values: Mapping[str, Any]) -> Iterator[Step]:
    busy = set(
        Run.objects.open()
        .filter(kind=RunKind.EXTRACT, table__in=[table.pk for table in tables])
        .values_list("table_id", flat=True)
    )
    for table in tables:
        if table.query_mode == QueryMode.REMOTE:
            told = "It is remote: nothing of it is copied."
            yield Step(row=table, name=table.name, text=told, is_possible=False)
        elif table.pk in busy:
            told = "It is being extracted already."
            yield Step(row=table, name=table.name, text=told, is_possible=False)
        elif table.is_pinned:
            told = "It is pinned to an older version; release it first."
            yield Step(row=table, name=table.name, text=told, is_possible=False)
        else:
            yield Step(row=table, name=table.name, text=f"Brought anew from {table.source}.")


def _now(request: HttpRequest, table: Table) -> SafeString:
    """Return the progress of the open run, or how the last one ended."""
    newest = Run.objects.filter(table=table).order_by("-queued_at")
    run = newest.select_related("table", "source").first()
    if run is None:
        return mark_safe("")
    if not run.is_open:
        return _ended(table, run)
    cancel = markup.post_button(
        request, reverse("admin:catalog_table_do", args=[table.pk, "cancel"]), "Cancel",
        is_small=True, part="facts", fields={"run": run.pk},
        confirm="End this run? It publishes nothing.",
    )  # fmt: skip
    followed = markup.link(page_of(run), "Log")
    return live(request, run, aside=format_html("{}{}", followed, cancel))


def _ended(table: Table, run: Run) -> SafeString:
    told = format_html(
        "Last run {} {}: {}",
        markup.when(run.finished_at or run.queued_at),
        state_badge(run),
        markup.link(page_of(run), f"{human.plural(run.rows or 0, 'row')} in {took(run)}"),
    )
    # What opened an incident stands below, with what can be done about it.
    is_told = table.incidents.waiting().filter(message=run.error_message).exists()
    if run.state != RunState.FAILED or is_told:
        return format_html('<p class="ag-last">{}</p>', told)
    failure = markup.lines(
        format_html("<strong>{}</strong>", run.error_message), run.error_hint,
        format_html("{}, {}", markup.when(run.finished_at), markup.link(page_of(run), "the run")),
    )  # fmt: skip
    return markup.notice(failure, Tone.BAD)


def _durations(request: HttpRequest, table: Table) -> SafeString:
    over = Run.objects.filter(
        table=table, kind=RunKind.EXTRACT, started_at__isnull=False, finished_at__isnull=False
    )
    newest = over.order_by("-queued_at").values_list("started_at", "finished_at", "state")
    found = [
        (started, (finished - started).total_seconds(), RunState(state))
        for started, finished, state in newest[:_DRAWN]
        if started is not None and finished is not None
    ][::-1]
    bars = [
        Bar(
            value=seconds,
            says=f"{started:%Y-%m-%d %H:%M}: {human.duration(seconds)}, {state.label.lower()}",
            tone=TONES[state],
        )
        for started, seconds, state in found
    ]
    if not found:
        return mark_safe("")
    usual = sorted(seconds for _, seconds, _ in found)[len(found) // 2]
    failed = sum(state == RunState.FAILED for _, _, state in found)
    sums_up = f"mostly {human.duration(usual)}" + (f", {failed} failed" if failed else "")
    return sparkline(bars, title=f"Duration of {len(bars)} runs", sums_up=sums_up)


def _runs(request: HttpRequest, table: Table) -> SafeString:
    found = Run.objects.filter(table=table).select_related("table", "source", "requested_by")
    page = paged(request, found.defer("log").order_by("-queued_at"), size=_SIZE)
    listed = runs_grid(
        page.object_list, with_reason=True,
        empty="No run yet. “Extract now” asks for the first one.",
    )  # fmt: skip
    url = reverse("admin:catalog_table_part", args=[table.pk, "runs"])
    everything = f"{reverse('admin:extracts_run_changelist')}?table__id__exact={table.pk}"
    return markup.card(
        "Runs",
        joined([listed, pager(page, name="runs", url=url, noun="run")]),
        aside=markup.link(everything, "All runs"),
    )
