"""Removing a source together with its tables."""

from __future__ import annotations

from operator import attrgetter

from django.db import transaction

from access.models import User
from catalog.models import Source, Table
from catalog.services import registry, sources


@transaction.atomic
def remove_source(*, source: Source, by: User | None, with_tables: bool = False) -> list[str]:
    """Remove a source and, ``with_tables``, unregister what comes from it; return their names.

    All of it is removed, or nothing.

    Raises:
        SourceInUseError: tables still come from it.
    """
    gone: list[Table] = []
    if with_tables:
        # All are locked before their source and their readers' groups, as by a publish.
        tables = source.tables.select_for_update(of=("self",)).select_related("source", "folder")
        gone = sorted(tables.order_by("pk"), key=attrgetter("name"))
        for table in gone:
            registry.unregister_table(table=table, by=by)
    sources.remove_source(source=source, by=by)
    return [table.name for table in gone]
