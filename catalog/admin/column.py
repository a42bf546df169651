"""The columns of a table: what each is, and what people say of it, written in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agnes_site.core import markup
from agnes_site.core.admin import Admin
from agnes_site.core.admin.parts import joined, paged, pager
from catalog.models import Column, Table
from catalog.models.table import DescriptionSource
from catalog.panels import ColumnDetail
from catalog.services import descriptions

_SIZE = 100
_LONGEST = 2000


def columns_card(
    admin: Admin,
    request: HttpRequest,
    table: Table,
    *,
    details: Mapping[str, ColumnDetail],
    with_details: bool,
) -> SafeString:
    """Return the columns of the current version; ``details`` are looked up when it is seen."""
    page = paged(request, table.columns.all(), size=_SIZE)
    said = descriptions.said_by_source(table)
    looked_up = [each.values(table) if with_details else {} for each in details.values()]
    rows = [
        [
            markup.lines(
                markup.code(column.name),
                column.type if column.nullable else f"{column.type}, never empty",
            ),
            *(values.get(column.name, markup.NOTHING) for values in looked_up),
            _described(admin, request, table, column, said.get(column.name, "")),
        ]
        for column in page.object_list
    ]
    listed = markup.grid(
        ["Column", *(each.title for each in details.values()), "Description"],
        rows,
        empty="The columns are known after the first extract.",
    )
    more = pager(page, name="columns", url=admin.part_url(table, "columns"), noun="column")
    note = "What you write here is what analysts and their agents read. It is kept as you type it."
    return markup.card("Columns", joined([listed, more, markup.note(note) if rows else ""]))


def describe_from(request: HttpRequest, table: Table) -> SafeString:
    """Write the description of the column that a form names; return what stands beside it."""
    column = get_object_or_404(table.columns, pk=request.POST.get("column"))
    by: Any = request.user
    text = request.POST.get("description", "")[:_LONGEST]
    descriptions.describe_column(column=column, description=text, by=by)
    return _origin(column, descriptions.said_by_source(table).get(column.name, ""), is_kept=True)


def _described(
    admin: Admin, request: HttpRequest, table: Table, column: Column, said: str
) -> SafeString:
    return format_html(
        '<form class="ag-describe" hx-post="{}" hx-trigger="change, submit" '
        'hx-target="find .ag-origin" hx-swap="innerHTML">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<input type="hidden" name="column" value="{}">'
        '<textarea name="description" rows="1" maxlength="{}" aria-label="Description of {}" '
        'placeholder="{}">{}</textarea><span class="ag-origin ag-faint" role="status">{}</span>'
        "</form>",
        admin.do_url(table, "describe"),
        get_token(request),
        column.pk,
        _LONGEST,
        column.name,
        said or "What does it hold?",
        column.description,
        _origin(column, said),
    )


def _origin(column: Column, said: str, *, is_kept: bool = False) -> SafeString:
    kept = "Kept. " if is_kept else ""
    if column.description_source == DescriptionSource.SOURCE:
        return format_html("{}As its source says.", kept)
    if said and said != column.description:
        return format_html("{}Its source says: {} Empty this to go back to it.", kept, said)
    return format_html("{}", kept)
