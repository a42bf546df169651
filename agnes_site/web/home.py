"""The first page after signing in: administrators go to the admin, analysts see their tables."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString

from access.models import User
from agnes_site.core import human, markup
from catalog.connectors import QueryMode
from catalog.models import Table

# More are found with `agnes catalog`.
_SHOWN = 200


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show an analyst what they may read, and how to get it onto the laptop."""
    user = request.user
    assert isinstance(user, User)
    if user.is_admin:
        return redirect("admin:index")
    readable = Table.objects.readable_by(user)
    count = readable.count()
    context = {
        "count": human.plural(count, "table"),
        "tables": _grid(readable),
        "hidden": max(0, count - _SHOWN),
        "server_url": settings.CONFIG.server_url,
    }
    return render(request, "web/home.html", context)


def _grid(readable: QuerySet[Table]) -> SafeString:
    tables = readable.select_related("current_version").order_by("name")[:_SHOWN]
    return markup.grid(
        ["Table", "Rows", "Size", "Last new data"],
        ([markup.lines(markup.code(table.name), table.description), *_served(table)]
         for table in tables),
        empty="Nobody has granted you a table yet: ask an administrator.",
    )  # fmt: skip


def _served(table: Table) -> list[object]:
    version = table.current_version
    if table.query_mode == QueryMode.REMOTE or version is None:
        waiting = "remote" if table.query_mode == QueryMode.REMOTE else "not extracted yet"
        return [markup.faint(waiting), markup.NOTHING, markup.NOTHING]
    return [human.number(version.rows), human.size(version.bytes), markup.when(version.created_at)]
