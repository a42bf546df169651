"""How fresh the tables are, and which are the stalest."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from agnes_site.core import charts, human, markup
from agnes_site.core.charts import Share
from agnes_site.core.markup import Tone
from catalog.models import Table

_AGES = (
    ("within a day", timedelta(days=1), Tone.GOOD),
    ("within a week", timedelta(days=7), Tone.BUSY),
    ("within a month", timedelta(days=30), Tone.WARN),
)
_STALEST = 5


def shares(now: datetime) -> list[Share]:
    """Return how many tables had new data in which time; one query."""
    counts, newer = {}, now + timedelta(days=1)
    for name, age, _ in _AGES:
        since = now - age
        counts[name] = Count("pk", filter=Q(current_version__created_at__range=(since, newer)))
        newer = since
    old = Count("pk", filter=Q(current_version__created_at__lt=newer))
    never = Count("pk", filter=Q(current_version=None))
    keys = {f"age_{number}": count for number, count in enumerate(counts.values())}
    found = Table.objects.with_copies().aggregate(**keys, old=old, never=never)
    ages = [
        Share(name=name, count=found[f"age_{number}"], tone=tone)
        for number, (name, _, tone) in enumerate(_AGES)
    ]
    return [
        *ages,
        Share(name="older", count=found["old"], tone=Tone.BAD),
        Share(name="never", count=found["never"], tone=Tone.PLAIN),
    ]


def card(now: datetime) -> SafeString:
    """Return how fresh the tables are, and the stalest of them."""
    found = [share for share in shares(now) if share.count]
    total = sum(share.count for share in found)
    sums_up = f"{human.plural(total, 'table')}: " + ", ".join(
        f"{share.count:,} {share.name}" for share in found
    )
    stalest = (
        Table.objects.published()
        .with_copies()
        .select_related("current_version", "source")
        .order_by("current_version__created_at")[:_STALEST]
    )
    rows = [
        [
            markup.link(reverse("admin:catalog_table_change", args=[table.pk]), table.name),
            str(table.source),
            markup.when(table.current_version.created_at if table.current_version else None),
        ]
        for table in stalest
    ]
    grid = markup.grid(["The stalest", "Source", "Last new data"], rows)
    aside = markup.link(reverse("admin:catalog_table_changelist"), "All tables")
    return markup.card(
        "Last new data", markup.stack(charts.shares(found, sums_up=sums_up), grid), aside=aside
    )
