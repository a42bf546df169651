"""What is read most."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.safestring import SafeString

from access.models import AuditEvent
from agnes_site.core import charts, human, markup
from catalog.models import Table

READS = ("data.download",)
_WEEK = timedelta(days=7)
# So many of the newest are looked at, however many there were in the week.
_LOOKED_AT = 20_000
_SHOWN = 6


def counted(now: datetime) -> Counter[str]:
    """Return how often each table was downloaded in the week, by name; one query."""
    newest = (
        AuditEvent.objects.filter(action__in=READS, at__gte=now - _WEEK)
        .order_by("-at")
        .values_list("resource", flat=True)[:_LOOKED_AT]
    )
    return Counter(name.partition("/")[2] for name in newest.iterator(chunk_size=_LOOKED_AT))


def card(now: datetime) -> SafeString | str:
    """Return the tables that are downloaded most."""
    counts = counted(now)
    found = counts.most_common(_SHOWN)
    if not found:
        return ""
    pages = dict(
        Table.objects.filter(name__in=[name for name, _ in found]).values_list("name", "pk")
    )
    rows = [
        [
            markup.link(reverse("admin:catalog_table_change", args=[pages[name]]), name)
            if name in pages
            else name,
            human.number(count),
            charts.level(count, found[0][1]),
        ]
        for name, count in found
    ]
    is_cut = counts.total() == _LOOKED_AT
    span = f"of the newest {human.plural(_LOOKED_AT, 'download')}" if is_cut else "this week"
    return markup.card(f"Downloaded most {span}", markup.grid(["Table", "Downloads", ""], rows))
