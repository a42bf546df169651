"""Changes at the same moment: they wait for each other, and none is refused for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection

from catalog.services import folders, registry, removal, versions
from catalog.services.versions import Draft
from tests.factories import TableFactory, stored_part
from tests.statements import after_statement

# How long who has locked the table waits for the other, who may have locked what comes after it.
_LONG_ENOUGH_SECONDS = 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="its writers wait for each other")
@pytest.mark.parametrize(
    "remove",
    [
        lambda table: registry.unregister_table(table=table, by=None),
        lambda table: folders.remove_folder(folder=table.folder, by=None),
        lambda table: removal.remove_source(source=table.source, by=None, with_tables=True),
    ],
    ids=["the table", "its folder", "its source"],
)
def test_publish_goes_on_while_somebody_removes(remove):
    sales = folders.add_folder(slug="sales", by=None)
    first = TableFactory(name="first", folder=sales)
    second = TableFactory(name="second", folder=sales, source=first.source)
    draft = Draft(parts=[stored_part(1)], columns=[], schema_hash="x")
    is_locked, is_moved = Event(), Event()

    def remove_it() -> None:
        is_locked.wait()
        try:
            with after_statement('UPDATE "catalog_source"', is_moved.set):
                remove(second)
        finally:
            connection.close()

    def let_the_other_come() -> None:
        is_locked.set()
        is_moved.wait(_LONG_ENOUGH_SECONDS)

    with ThreadPoolExecutor(max_workers=1) as other:
        removed = other.submit(remove_it)
        with after_statement('SELECT "catalog_table"', let_the_other_come):
            _, is_new = versions.commit(table=second, draft=draft, fencing=0)
        removed.result()

    assert is_new
