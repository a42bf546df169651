"""The versions of a table, as a card on its page."""

from __future__ import annotations

from django.db.models import Count, F
from django.http import HttpRequest
from django.utils.safestring import SafeString

from agnes_site.core import human, markup
from agnes_site.core.admin import Admin
from agnes_site.core.markup import Tone
from catalog.models import Table


def versions_card(admin: Admin, request: HttpRequest, table: Table) -> SafeString:
    """Return the versions of a table that are kept, each with a way back to it."""
    kept = table.versions.annotate(parts_total=Count("parts")).order_by(F("number").desc())
    rows = [
        [
            each.number,
            markup.when(each.created_at),
            human.number(each.rows),
            human.size(each.bytes),
            human.plural(each.parts_total, "part"),
            each.note or markup.NOTHING,
            markup.badge("served", Tone.GOOD)
            if each.pk == table.current_version_id
            else admin.do_button(request, table, "roll_back", is_small=True, number=each.number),
        ]
        for each in kept[:20]
    ]
    listed = markup.grid(
        ["Version", "Published", "Rows", "Size", "Files", "Note", ""],
        rows,
        empty="No version yet: the first run that succeeds publishes one.",
    )
    return markup.card("Versions", listed)
