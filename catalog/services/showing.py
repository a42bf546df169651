"""What has to move when what a table shows has changed."""

from __future__ import annotations

import uuid

from access.services import stamps
from catalog.models import Source, Table


def changed(table: Table) -> None:
    """Move the stamps of everybody who may read ``table``, and of its source's extract.

    Called inside the transaction of the change. When a change moves the table to another
    folder, call it before and after, so that both sets of readers notice.
    """
    covering = [("table", table.name), ("source", table.source.slug)]
    if table.folder is not None:
        covering.append(("folder", table.folder.slug))
    stamps.move_holders(covering)
    Source.objects.filter(pk=table.source_id).update(stamp=uuid.uuid4())
