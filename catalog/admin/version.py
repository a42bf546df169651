"""The versions of a table: what each changed, and the way back to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from agnes_site.core import human, markup
from agnes_site.core.admin import Admin
from agnes_site.core.admin.parts import joined, paged, pager
from agnes_site.core.markup import Tone
from agnes_site.core.sparkline import Bar, sparkline
from catalog.models import Table, TableVersion
from catalog.services import differences
from catalog.services.differences import Difference, SchemaChange

_SIZE = 10
_DRAWN = 30
_NAMED = 6


def versions_card(admin: Admin, request: HttpRequest, table: Table) -> SafeString:
    """Return the versions of a table that are kept, each with what changed and a way back."""
    kept = table.versions.annotate(parts_total=Count("parts")).order_by(F("number").desc())
    page = paged(request, kept.defer("extract_state", "schema"), size=_SIZE)
    shown: list[Any] = list(page.object_list)
    rows = [
        [
            each.number,
            markup.when(each.created_at),
            markup.lines(
                human.number(each.rows), signed(each.rows - before.rows) if before else ""
            ),
            markup.lines(human.size(each.bytes), human.plural(each.parts_total, "file")),
            _what_changed(each, before),
            _way_back(admin, request, table, each),
        ]
        for each, before in _with_previous(table, shown)
    ]
    listed = markup.grid(
        ["Version", "Published", "Rows", "Size", "What changed", ""],
        rows,
        empty="No version yet: the first run that succeeds publishes one.",
    )
    more = pager(page, name="versions", url=admin.part_url(table, "versions"), noun="version")
    return markup.card("Versions", joined([listed, more]))


def rows_drawn(table: Table) -> SafeString:
    """Return how the number of rows went over the last versions."""
    newest = table.versions.order_by("-number").values_list("number", "rows", "created_at")
    found = list(newest[:_DRAWN])[::-1]
    bars = [
        Bar(
            value=rows, says=f"Version {number}, {at:%Y-%m-%d %H:%M}: {rows:,} rows", tone=Tone.GOOD
        )
        for number, rows, at in found
    ]
    if not bars:
        return joined([])
    first, last = found[0][1], found[-1][1]
    return sparkline(bars, title=f"Rows of {len(bars)} versions", sums_up=f"{first:,} → {last:,}")


def signed(change: int) -> str:
    """Return a difference with its sign; nothing for none."""
    return f"{change:+,}" if change else ""


def _with_previous(table: Table, shown: Sequence[Any]) -> list[tuple[Any, TableVersion | None]]:
    """Return each version with the one before it, which may be on the next page."""
    if not shown:
        return []
    older = table.versions.filter(number__lt=shown[-1].number).order_by("-number")
    before = older.defer("extract_state", "schema").first()
    _complete([*shown, *([before] if before else [])])
    return list(zip(shown, [*shown[1:], before], strict=True))


def _complete(found: Sequence[TableVersion]) -> None:
    """Fetch the columns of versions, once for all that have the same: they are long."""
    one_of = {version.schema_hash: version.pk for version in found}
    chosen = TableVersion.objects.filter(pk__in=one_of.values())
    schemas = dict(chosen.values_list("schema_hash", "schema"))
    for version in found:
        version.schema = schemas[version.schema_hash]


def _what_changed(version: TableVersion, before: TableVersion | None) -> SafeString:
    told = [version.note] if version.note else []
    if before is None:
        told.append(human.plural(len(version.schema), "column"))
    else:
        told += _columns_told(differences.between(before, version).columns)
    if not told:
        return markup.NOTHING
    return format_html_join("", "<div>{}</div>", ((line,) for line in told))


def _columns_told(change: SchemaChange) -> list[str]:
    kinds = (("Added", change.added), ("Removed", change.removed), ("Changed", change.changed))
    return [f"{word}: {_few(names)}" for word, names in kinds if names]


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _way_back(
    admin: Admin, request: HttpRequest, table: Table, version: TableVersion
) -> SafeString:
    if version.pk == table.current_version_id:
        return markup.badge("served", Tone.GOOD)
    assert table.current_version is not None
    question = _question(version, differences.between(table.current_version, version))
    return admin.do_button(
        request, table, "roll_back", is_small=True, part="versions", confirm=question,
        number=version.number,
    )  # fmt: skip


def _question(version: TableVersion, step: Difference) -> str:
    rows = human.plural(version.rows, "row")
    change = f", {signed(step.rows)} compared with now" if step.rows else ", as many as now"
    told = [f"Serve version {version.number} again? It has {rows}{change}."]
    told += [f"{line}." for line in _columns_told(step.columns)]
    told.append(
        "Readers get it with their next pull. No new version comes in until you release the table."
    )
    return " ".join(told)
