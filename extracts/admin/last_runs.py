"""The last run of each table and each source, in the lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog import panels
from catalog.models import Source, Table
from catalog.panels import ListColumn
from extracts.admin.shown import page_of, state_badge
from extracts.models import Run


def register() -> None:
    """Tell the lists of tables and sources about runs."""
    panels.tables.add(ListColumn(key="last_run", title="last run", values=_last_of_tables))
    panels.sources.add(ListColumn(key="last_run", title="last run", values=_last_of_sources))


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
