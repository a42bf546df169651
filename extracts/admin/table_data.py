"""What a table serves, on its page: its first rows, and what is known of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.errors import AgnesError
from catalog import panels
from catalog.connectors import QueryMode
from catalog.models import Table
from catalog.panels import ColumnDetail, Panel
from extracts.services import previewing
from extracts.services.ownership import is_foreign


def register() -> None:
    """Tell the page of a table about its data."""
    panels.tables.add(
        Panel(key="preview", render=_preview, section="data", waits_to_be_seen=True),
        ColumnDetail(key="missing", title="Missing", values=_missing),
        ColumnDetail(key="range", title="Smallest … largest", values=_range),
    )


def _preview(request: HttpRequest, table: Table) -> SafeString:
    if table.query_mode == QueryMode.REMOTE:
        if is_foreign(table.source):
            return _said("Its rows are where the extract says, and are not read from here.")
        return _rows(previewing.first_remote_rows(table), "as its source has them now")
    version = table.current_version
    if version is None:
        return _said("No data yet. “Extract now” brings the first version; then rows are here.")
    found = previewing.first_rows(version)
    if not found.rows:
        return _said(f"Version {version.number} has columns, and no rows.")
    return _rows(found, f"of {human.number(version.rows)}")


def _rows(found: previewing.Preview, of: str) -> SafeString:
    head = format_html_join("", '<th scope="col">{}</th>', ((name,) for name in found.columns))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(row),) for row in found.rows))
    hidden = found.total_columns - len(found.columns)
    shown = f"{human.plural(len(found.rows), 'row')} {of}"
    if hidden > 0:
        shown += f", {len(found.columns)} of {found.total_columns:,} columns"
    grid = format_html(
        '<div class="ag-scroll ag-preview" tabindex="0" role="region" aria-label="First rows">'
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        head,
        body,
    )
    return markup.card("First rows", grid, aside=markup.faint(shown))


def _cells(row: Sequence[str | None]) -> SafeString:
    return format_html_join(
        "",
        "<td>{}</td>",
        ((mark_safe('<i class="ag-faint">null</i>') if cell is None else cell,) for cell in row),
    )


def _said(text: str) -> SafeString:
    return markup.card("First rows", format_html('<p class="ag-empty">{}</p>', text))


def _missing(table: Table) -> Mapping[str, SafeString | str]:
    rows = table.current_version.rows if table.current_version else 0
    return {
        name: _share(each.nulls, rows)
        for name, each in _figures(table).items()
        if each.nulls is not None
    }


def _share(missing: int, rows: int) -> SafeString | str:
    if not missing:
        return markup.faint("none")
    share = missing / rows * 100
    return "all" if missing == rows else ("< 1 %" if share < 1 else f"{min(share, 99):.0f} %")


def _range(table: Table) -> Mapping[str, SafeString | str]:
    return {
        name: markup.faint(each.low if each.low == each.high else f"{each.low} … {each.high}")
        for name, each in _figures(table).items()
        if each.low is not None
    }


def _figures(table: Table) -> Mapping[str, previewing.Figures]:
    try:
        return previewing.figures(table)
    except AgnesError:
        return {}  # the columns are shown without; the preview says what is wrong
