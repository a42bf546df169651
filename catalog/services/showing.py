"""What has to move when what a table shows has changed."""

from __future__ import annotations

import uuid

from access.services import stamps
from catalog.models import Source, Table


def changed(*tables: Table) -> None:
    """Move the stamps of everybody who may read ``tables``, and of their sources' extracts.

    Called inside the transaction of the change. When a change moves a table to another
    folder, call it before and after, so that both sets of readers notice.
    """
    covering = {("table", table.name) for table in tables}
    covering |= {("source", table.source.slug) for table in tables}
    covering |= {("folder", table.folder.slug) for table in tables if table.folder is not None}
    stamps.move_holders(covering)
    sources = {table.source_id for table in tables}
    Source.objects.filter(pk__in=sources).update(stamp=uuid.uuid4())
