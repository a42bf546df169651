"""When tables run, as pages show it: a sentence, the next run, and a hint while typing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.forms import Widget
from django.utils import timezone
from django.utils.safestring import SafeString

from agnes_site.core import markup
from agnes_site.core.markup import Tone
from catalog import connectors, panels
from catalog.connectors import QueryMode
from catalog.models import Source, Table
from catalog.panels import ListColumn
from catalog.services import timing

EXPLAINED_AT = "/api/admin/schedule"


def register() -> None:
    """Add the column "next run" to the lists of tables and sources."""
    panels.tables.add(ListColumn(key="next_run", title="next run", values=_of_tables))
    panels.sources.add(ListColumn(key="next_run", title="next run", values=_of_sources))


def explained(widget: Widget) -> None:
    """Let a field for a schedule say what it means while it is typed."""
    widget.attrs.update(
        {"data-explain": EXPLAINED_AT, "autocomplete": "off", "spellcheck": "false"}
    )


def facts_of_table(table: Table) -> list[tuple[str, SafeString | str]]:
    """Return when a table runs, in words, and when that is next."""
    if table.query_mode == QueryMode.REMOTE:
        return []
    if connectors.is_foreign(table.source.source_type):
        return [("Runs", "when its producer writes it")]
    planned = timing.next_runs([table], now=timezone.now()).get(table.pk)
    text = timing.schedule_text(table.sync_schedule, table.source.schedule, table.query_mode)
    runs = ("Runs", _words(text, whose=_whose(table)))
    if planned is None and not (table.is_paused or table.source.is_paused or table.is_pinned):
        return [runs]
    is_retry = planned is not None and planned == table.retry_at
    return [runs, ("Next try" if is_retry else "Next run", _next(table, planned))]


def facts_of_source(source: Source) -> list[tuple[str, SafeString | str]]:
    """Return when the tables of a source run, in words, and when the first of them is next."""
    if connectors.is_foreign(source.source_type):
        return [("Runs", "when their producer writes them")]
    said = _words(source.schedule, whose="for tables without a schedule of their own")
    planned = timing.next_run_of_sources([source], now=timezone.now()).get(source.pk)
    if planned is None and not source.is_paused:
        return [("Runs", said)]
    return [("Runs", said), ("Next run", _next_of_source(source, planned))]


def _words(text: str, *, whose: str) -> SafeString | str:
    if not text:
        return "when asked for"
    said = timing.meaning(text) or f"“{text}” is not understood"
    return markup.lines(said, whose)


def _whose(table: Table) -> str:
    if table.sync_schedule:
        return ""
    return "as its source" if table.source.schedule else "as materialized tables do"


def _next(table: Table, planned: datetime | None) -> SafeString | str:
    if table.is_paused:
        return markup.badge("paused", Tone.WARN)
    if table.source.is_paused:
        return markup.badge("source paused", Tone.WARN)
    if table.is_pinned:
        return markup.badge("pinned", Tone.WARN)
    if connectors.is_foreign(table.source.source_type):
        return markup.faint("with its producer")
    return markup.when(planned, never="when asked for")


def _of_tables(tables: Sequence[Table]) -> Mapping[UUID, SafeString | str]:
    planned = timing.next_runs(tables, now=timezone.now())
    return {
        table.pk: markup.NOTHING
        if table.query_mode == QueryMode.REMOTE
        else _next(table, planned.get(table.pk))
        for table in tables
    }


def _of_sources(sources: Sequence[Source]) -> Mapping[UUID, SafeString | str]:
    planned = timing.next_run_of_sources(sources, now=timezone.now())
    return {source.pk: _next_of_source(source, planned.get(source.pk)) for source in sources}


def _next_of_source(source: Source, planned: datetime | None) -> SafeString | str:
    if source.is_paused:
        return markup.badge("paused", Tone.WARN)
    if connectors.is_foreign(source.source_type):
        return markup.faint("with its producer")
    return markup.when(planned, never="when asked for")
