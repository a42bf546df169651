"""How the tables keep up with their schedules, and which are the furthest behind."""

from __future__ import annotations

from datetime import datetime
from heapq import nlargest

from django.urls import reverse
from django.utils.safestring import SafeString

from agnes_site.core import charts, markup
from agnes_site.core.charts import Share
from agnes_site.core.markup import Tone
from catalog.models import Table
from catalog.services import timing
from catalog.services.lateness import Keeping, Kept

_TONES = {
    Keeping.ON_TIME: Tone.GOOD,
    Keeping.BEHIND: Tone.WARN,
    Keeping.FAR_BEHIND: Tone.BAD,
    Keeping.UNSCHEDULED: Tone.BUSY,
    Keeping.NEVER: Tone.PLAIN,
}
_NAMED = 5


def card(kept: Kept) -> SafeString:
    """Return how the tables keep up, and who is furthest behind or, with nobody late, oldest."""
    found = shares(kept)
    sums_up = ", ".join(f"{share.count:,} {share.name}" for share in found)
    aside = markup.link(reverse("admin:catalog_table_changelist"), "All tables")
    drawn = charts.shares(found, sums_up=sums_up)
    return markup.card("Freshness", markup.stack(drawn, _stalest(kept)), aside=aside)


def shares(kept: Kept) -> list[Share]:
    """Return how many tables keep up in which way; what there is none of is left out."""
    return [
        Share(name=keeping, count=kept.counts[keeping], tone=tone)
        for keeping, tone in _TONES.items()
        if kept.counts.get(keeping)
    ]


def stalest(kept: Kept) -> list[Table]:
    """Return the tables that missed most of their runs; if none is late, those with oldest data."""
    tables = Table.objects.select_related("source", "current_version")
    if not kept.late:
        served = tables.published().with_copies()
        return list(served.order_by("current_version__created_at")[:_NAMED])
    worst = [late.table_id for late in nlargest(_NAMED, kept.late, key=lambda late: late.missed)]
    found = tables.in_bulk(worst)
    return [found[pk] for pk in worst if pk in found]


def _stalest(kept: Kept) -> SafeString:
    rows = [
        [
            markup.link(reverse("admin:catalog_table_change", args=[table.pk]), table.name),
            _schedule(table),
            markup.when(table.last_success_at if kept.late else _newest_data(table)),
        ]
        for table in stalest(kept)
    ]
    headers = (
        ["Furthest behind", "Schedule", "Last success"]
        if kept.late
        else ["Oldest data", "Schedule", "Last new data"]
    )
    return markup.grid(headers, rows)


def _newest_data(table: Table) -> datetime | None:
    return table.current_version.created_at if table.current_version else None


def _schedule(table: Table) -> SafeString:
    text = timing.schedule_text(table.sync_schedule, table.source.schedule, table.query_mode)
    return markup.faint(timing.meaning(text).rstrip(".") or "none")
