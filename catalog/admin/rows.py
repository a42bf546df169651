"""Tables and incidents as rows and cards, for more than one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, QuerySet, Value
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.admin import Admin
from agnes_site.core.markup import Tone
from catalog.admin.paneled import page_of
from catalog.connectors import QueryMode
from catalog.models import Source, Table
from catalog.services import incidents


def counted(found: QuerySet[Any]) -> QuerySet[Any, Any]:
    """Return the number of rows of ``found`` as the one value of a subquery."""
    ungrouped = found.order_by().annotate(all=Value(1)).values("all")
    numbers: QuerySet[Any, Any] = ungrouped.annotate(n=Count("pk")).values("n")
    return numbers


def table_link(table: Table) -> SafeString:
    """Return a link to the page of a table."""
    return markup.link(page_of("catalog", "table", table.pk), table.name)


def table_state(table: Table, *, open_incidents: int = 0) -> SafeString:
    """Return, in one word, whether a table is served."""
    if open_incidents:
        return markup.badge("incident", Tone.BAD)
    if table.is_pinned:
        return markup.badge("pinned", Tone.WARN)
    if table.query_mode == QueryMode.REMOTE:
        return markup.badge("remote", Tone.PLAIN)
    if table.current_version is None:
        return markup.badge("no data yet", Tone.PLAIN)
    return markup.badge("served", Tone.GOOD)


def table_rows(tables: Iterable[Table]) -> Iterator[list[Any]]:
    """Yield the rows of a grid of tables: name, state, rows, size, freshness."""
    for table in tables:
        version = table.current_version
        yield [
            table_link(table),
            table_state(table),
            human.number(version.rows if version else None),
            human.size(version.bytes if version else None),
            markup.when(version.created_at if version else None),
        ]


def incidents_card(
    admin: Admin, request: HttpRequest, subject: Table | Source, *, part: str = ""
) -> SafeString:
    """Return the open incidents of a page's subject, each with a way to waive it."""
    notices = [
        markup.notice(
            markup.lines(
                format_html("<strong>{}</strong>", incident.message),
                incident.hint,
                format_html("{}, {}", incident.get_kind_display(), markup.when(incident.opened_at)),
                admin.do_button(
                    request, subject, "waive", is_small=True, part=part, incident=str(incident.pk)
                ),
            ),
            Tone.BAD,
        )
        for incident in subject.incidents.waiting()
    ]
    return markup.stack(*notices) if notices else mark_safe("")


def waive_from(request: HttpRequest, subject: Table | Source) -> None:
    """Waive the incident of ``subject`` that a form names."""
    by: Any = request.user
    incident = get_object_or_404(subject.incidents, pk=request.POST.get("incident"))
    incidents.waive(incident=incident, by=by)
