"""Rows that were set aside, as pages show them: which row, why, and what stands there."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from catalog import panels
from catalog.models import Table
from catalog.panels import Panel
from extracts.admin.shown import page_of
from extracts.models import Run, RunOutcome, RunState
from extracts.services import rejected
from extracts.services.rejected import RejectedRow, RejectedRowsGoneError

_SHOWN = 100
_SHOWN_LETTERS = 200


def register() -> None:
    """Tell the page of a table about rows that were set aside."""
    panels.tables.add(Panel(key="rejected", render=_of_table, section="data"))


def rejected_card(run: Run) -> SafeString:
    """Return the first rows that a run set aside; nothing if there are none."""
    if not run.rejected_rows:
        return mark_safe("")
    try:
        rows = rejected.first_rows(run, limit=_SHOWN)
    except RejectedRowsGoneError as error:
        return markup.card(_title(run), markup.note(f"{error.message} {error.hint}"))
    shown = [_cells(row) for row in rows]
    headers = ["File", "Row", "Column", "Reason", "Text"]
    url = f"/api/runs/{run.pk}/rejected/download"
    more = human.number(run.rejected_rows)
    aside = markup.link(
        url, "Download" if len(rows) == run.rejected_rows else f"Download all {more}"
    )
    return markup.card(_title(run), markup.grid(headers, shown, empty=""), aside=aside)


def _of_table(request: HttpRequest, table: Table) -> SafeString:
    version = table.current_version
    if version is None:
        return mark_safe("")
    # A run that found nothing new has read nothing: what the last reading left out still counts.
    readings = Run.objects.filter(
        table=table, state=RunState.SUCCEEDED, version_number=version.number
    ).exclude(outcome=RunOutcome.UNREAD)
    run = readings.order_by("-queued_at").first()
    if run is None or not run.rejected_rows:
        return mark_safe("")
    return markup.stack(rejected_card(run), markup.link(page_of(run), "The run that did it"))


def _title(run: Run) -> str:
    return f"{human.plural(run.rejected_rows, 'row')} set aside"


def _cells(row: RejectedRow) -> list[object]:
    text = row.text if len(row.text) <= _SHOWN_LETTERS else f"{row.text[:_SHOWN_LETTERS]}…"
    return [
        row.file,
        human.number(row.row),
        row.column or markup.NOTHING,
        row.reason,
        markup.code(text),
    ]
