"""A table of 2 000 columns: lists, pages, search and manifest ask no more than for a narrow one."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agnes_site.web import search
from catalog.connectors import ColumnSpec
from catalog.models import Table
from catalog.services import exchange
from catalog.services.exchange import Format
from tests.factories import SourceFactory, TableFactory, publish, stored_part

pytestmark = pytest.mark.hostile(59)

WIDE = 2_000
PARTS = ["facts", "columns", "versions"]


def table_of(name: str, columns: int, number: int) -> Table:
    table = TableFactory(name=name, source=SourceFactory(slug=f"of_{name}"))
    specs = [ColumnSpec(name=f"{name}_{place:04}", type="VARCHAR") for place in range(columns)]
    publish(table, stored_part(number), columns=specs)
    publish(table, stored_part(number + 1), columns=[*specs[1:], ColumnSpec(name="z", type="DATE")])
    return table


@pytest.fixture
def tables(db) -> tuple[Table, Table]:
    """A narrow table and a wide one."""
    return table_of("narrow", 5, 1), table_of("wide", WIDE, 3)


def statements(ask) -> int:
    """Return how many statements a question takes when it is asked again."""
    ask()
    with CaptureQueriesContext(connection) as context:
        ask()
    return len(context)


class TestWideTable:
    @pytest.mark.parametrize("part", PARTS)
    def test_takes_no_more_statements_on_its_page(self, client, admin, tables, part):
        client.force_login(admin)

        def ask(table: Table) -> None:
            url = reverse("admin:catalog_table_part", args=[table.pk, part])
            assert client.get(url).status_code == 200

        narrow, wide = (statements(lambda table=table: ask(table)) for table in tables)

        assert wide <= narrow

    def test_takes_no_more_statements_in_the_api(self, admin_api, tables):
        def ask(table: Table) -> None:
            answer = admin_api.get(f"/api/v2/schema/{table.name}")
            assert answer.status_code == 200
            assert answer.content.count(f"{table.name}_".encode()) >= table.columns.count() - 1

        narrow, wide = (statements(lambda table=table: ask(table)) for table in tables)

        assert wide <= narrow

    def test_is_searched_with_a_few_hits_of_many(self, tables):
        (hits,) = (hits for hits in search.find("wide_") if hits.kind == "Columns")

        assert 0 < len(hits.found) < 20

    def test_leaves_the_manifest_as_it_is(self, admin_api, tables):
        entries = admin_api.get("/api/sync/manifest").json()["tables"]

        assert len(str(entries["wide"])) < len(str(entries["narrow"])) + 100

    def test_is_exported_with_all_columns_of_its_key(self, tables):
        names = [f"wide_{place:04}" for place in range(WIDE)]
        Table.objects.filter(name="wide").update(primary_key=names)

        content = exchange.write(as_format=Format.YAML).encode()

        assert exchange.make(exchange.read(content), exactly=False, by=None).problems == ()
        assert content.count(b"wide_") >= WIDE
