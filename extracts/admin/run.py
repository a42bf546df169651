"""Runs: what was done, what is going on, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.admin import (
    BulkAction,
    NextStep,
    OneOfManyFilter,
    ReadOnlyAdmin,
    Step,
    button,
)
from agnes_site.core.admin.parts import joined
from agnes_site.core.markup import Tone
from extracts.admin.rejected_rows import rejected_card
from extracts.admin.shown import brought, live, page_of, state_badge, took
from extracts.models import Run, RunKind, RunTrigger
from extracts.services import runs


def _repeating(chosen: Sequence[Run], values: Mapping[str, Any]) -> Iterator[Step]:
    prefetch_related_objects(chosen, "table__source", "source")
    asked = {_work(run) for run in Run.objects.open().only("table", "source", "kind")}
    for run in chosen:
        is_new = _work(run) not in asked
        asked.add(_work(run))
        told = f"{run.get_kind_display()}, once more."
        yield Step(
            row=run,
            name=str(run.subject),
            text=told if is_new else "Asked for already: once is enough.",
            is_possible=is_new,
        )


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs, the newest first."""

    list_display = ("subject", "kind", "state_shown", "asked_for", "took", "rows_shown", "told")
    list_filter = ("state", "kind", "trigger", "queued_at", ("source", OneOfManyFilter))
    list_select_related = ("table", "source")
    search_fields = ("table__name", "source__slug", "error_code", "error_message")
    search_help_text = "Search tables, sources and errors"
    ordering = ("-queued_at",)
    bulk = (
        BulkAction(
            key="run_again", label="Run again", confirm="Ask for", done="Asked for again",
            plan=_repeating, do=lambda run, values, by: _ask_again(run, by=by),
        ),
    )  # fmt: skip
    buttons = ("cancel", "run_again")
    next_step = NextStep(
        text="A run brings a table in. Open a table and press “Extract now”, or give its source "
        "a schedule.",
        label="Go to the tables",
        url_name="admin:catalog_table_changelist",
    )

    @admin.display(description="of", ordering="table__name")
    def subject(self, run: Run) -> str:
        """Show what it is about."""
        return str(run.subject)

    @admin.display(description="state", ordering="state")
    def state_shown(self, run: Run) -> SafeString:
        """Show where it is in its life."""
        return state_badge(run)

    @admin.display(description="asked for", ordering="queued_at")
    def asked_for(self, run: Run) -> SafeString:
        """Show when it was asked for, and why."""
        return markup.lines(markup.when(run.queued_at), _reason(run))

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """Show how long it took."""
        return took(run)

    @admin.display(description="rows", ordering="rows")
    def rows_shown(self, run: Run) -> str:
        """Show how many rows it brought."""
        return human.number(run.rows)

    @admin.display(description="what happened")
    def told(self, run: Run) -> SafeString:
        """Show the first words of an error, or where it is."""
        text = run.error_message or (f"{run.phase} {run.message}".strip() if run.is_open else "")
        text = text or brought(run)
        return markup.faint(text if len(text) <= 90 else f"{text[:89]}…")

    def offered(self, request: HttpRequest, obj: Run) -> Sequence[str]:
        """Offer to end what is open, and to repeat what is over."""
        return ("cancel",) if obj.is_open else ("run_again",)

    @button("Cancel", icon="stop_circle", confirm="End this run? It publishes nothing.")
    def cancel(self, request: HttpRequest, run: Run) -> None:
        """End the run."""
        by: Any = request.user
        runs.cancel(run=run, by=by)
        self.say(request, "The run is cancelled; its worker stops within seconds.")

    @button("Run again", icon="replay", is_main=True)
    def run_again(self, request: HttpRequest, run: Run) -> HttpResponse:
        """Ask for the same work again and go to the new run."""
        asked, is_new = _ask_again(run, by=request.user)
        if not is_new:
            self.say(request, "This is queued or running already.", level=messages.INFO)
        return Redirect(page_of(asked))

    def above(self, request: HttpRequest, obj: Run) -> SafeString:
        """Return state, progress, what went wrong and the log."""
        return markup.stack(
            markup.card(
                str(obj),
                joined([_facts(obj), live(request, obj) if obj.is_open else ""]),
                aside=self.button_bar(request, obj),
            ),
            _error(obj),
            rejected_card(obj),
            markup.card("Log", _log(obj)),
        )


def _reason(run: Run) -> str:
    text = run.get_trigger_display()
    return f"{text[:1].lower()}{text[1:]}"


def _work(run: Run) -> tuple[UUID | None, UUID | None, str]:
    """Return of what a run is, and which kind: of this, one can be open at a time."""
    return run.table_id, None if run.table_id else run.source_id, run.kind


def _ask_again(run: Run, *, by: Any) -> tuple[Run, bool]:
    source = None if run.table else run.source
    return runs.request_run(
        table=run.table, source=source, kind=RunKind(run.kind), by=by, trigger=RunTrigger.MANUAL
    )


def _facts(run: Run) -> SafeString:
    return markup.facts(
        [
            ("State", format_html('<span data-run="state">{}</span>', state_badge(run))),
            ("Of", _subject_link(run)),
            ("Asked for", markup.when(run.queued_at)),
            ("Why", format_html("{}{}", run.get_trigger_display(), _by(run))),
            ("Started", markup.when(run.started_at, never="not yet")),
            ("Took", took(run)),
            ("Rows", format_html('<span data-run="rows">{}</span>', human.number(run.rows))),
            ("Set aside", human.number(run.rejected_rows)),
            ("Size", human.size(run.bytes)),
            ("Version", run.version_number or markup.NOTHING),
            ("Attempt", run.attempt or markup.NOTHING),
        ]
    )


def _by(run: Run) -> str:
    return f": {run.requested_by}" if run.requested_by else ""


def _subject_link(run: Run) -> SafeString | str:
    if run.table is not None:
        return markup.link(reverse("admin:catalog_table_change", args=[run.table_id]), run.table)
    if run.source is not None:
        return markup.link(reverse("admin:catalog_source_change", args=[run.source_id]), run.source)
    return str(run.subject)


def _error(run: Run) -> SafeString:
    if not run.error_code:
        return mark_safe("")
    told = markup.lines(
        format_html("<strong>{}</strong>", run.error_message),
        run.error_hint,
        markup.code(run.error_code),
    )
    return markup.notice(told, Tone.BAD)


def _log(run: Run) -> SafeString:
    if not run.log:
        waiting = "Nothing yet: the run writes here as it works." if run.is_open else "Empty."
        return format_html('<p class="ag-empty">{}</p>', waiting)
    return format_html('<pre class="ag-log">{}</pre>', run.log)
