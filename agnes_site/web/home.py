"""The first page after signing in: administrators go to the admin, analysts see their tables."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString

from access.models import User
from agnes_site.core import human, markup, slugs
from agnes_site.core.sql import quote_identifier
from catalog.connectors import QueryMode
from catalog.models import Column, Table, TableName

# More are found by the search, and listed by `agnes catalog`.
_SHOWN = 100
_LONGEST = 200


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show an analyst what they may read, and how to get it onto the laptop."""
    user = request.user
    assert isinstance(user, User)
    if user.is_admin:
        return redirect("admin:index")
    return render(request, "web/home.html", _context(request, user))


def _context(request: HttpRequest, user: User) -> dict[str, Any]:
    term = " ".join(request.GET.get("q", "").replace("\0", "").split())[:_LONGEST]
    readable = Table.objects.readable_by(user)
    count = readable.count()
    found = _matching(readable, term) if term else readable
    shown = list(found.select_related("current_version").order_by("name")[:_SHOWN])
    matching = found.count() if term else count
    return {
        "count": human.plural(count, "table"),
        "has_tables": count > 0,
        "term": term,
        "matching": human.plural(matching, "table"),
        "tables": _grid(shown, term),
        "hidden": max(0, matching - _SHOWN),
        "server_url": settings.CONFIG.server_url,
        "example": _example(shown),
    }


def _matching(readable: QuerySet[Table], term: str) -> QuerySet[Table]:
    """Limit to the tables that are called so, are described so, or have such a column."""
    aliases = TableName.objects.filter(folded__contains=slugs.folded(term)).values("table")
    columns = Column.objects.filter(name__icontains=term).values("table")
    return readable.filter(
        Q(display_name__icontains=term)
        | Q(description__icontains=term)
        | Q(pk__in=aliases)
        | Q(pk__in=columns)
    )


def _grid(shown: list[Table], term: str) -> SafeString:
    nobody = "Nobody has granted you a table yet: ask an administrator."
    return markup.grid(
        ["Table", "Rows", "Size", "Last new data"],
        (
            [markup.lines(markup.code(table.name), table.description), *_served(table)]
            for table in shown
        ),
        empty=f"No table, and no column of one, is called “{term}”." if term else nobody,
    )


def _served(table: Table) -> list[object]:
    version = table.current_version
    if table.query_mode == QueryMode.REMOTE or version is None:
        waiting = "remote" if table.query_mode == QueryMode.REMOTE else "not extracted yet"
        return [markup.faint(waiting), markup.NOTHING, markup.NOTHING]
    return [human.number(version.rows), human.size(version.bytes), markup.when(version.created_at)]


def _example(shown: list[Table]) -> str:
    """Return a question that gets an answer."""
    served = [table.name for table in shown if table.current_version_id]
    return f"FROM {quote_identifier(served[0])} LIMIT 10" if served else "SELECT 1"
