"""Removing a source together with its tables."""

from __future__ import annotations

from django.db import transaction

from access.models import User
from catalog.models import Source
from catalog.services import registry, sources


@transaction.atomic
def remove_source(*, source: Source, by: User | None, with_tables: bool = False) -> list[str]:
    """Remove a source and, ``with_tables``, unregister what comes from it; return their names.

    All of it is removed, or nothing.

    Raises:
        SourceInUseError: tables still come from it.
    """
    names = []
    if with_tables:
        for table in source.tables.select_related("source", "folder").order_by("name"):
            registry.unregister_table(table=table, by=by)
            names.append(table.name)
    sources.remove_source(source=source, by=by)
    return names
