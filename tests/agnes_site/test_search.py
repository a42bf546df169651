import pytest
from django.urls import reverse

from agnes_site.web import search
from catalog.connectors import ColumnSpec
from catalog.models import Folder, TableName
from extracts.models import Run, RunState
from tests.factories import GroupFactory, SourceFactory, TableFactory, UserFactory, publish

SEARCH = reverse("search")


@pytest.fixture
def orders(db):
    table = TableFactory(name="orders", source=SourceFactory(slug="shop", display_name="The shop"))
    publish(table, columns=[ColumnSpec(name="customer_id", type="BIGINT")])
    return table


def titles(term: str) -> dict[str, list[str]]:
    return {hits.kind: [hit.title for hit in hits.found] for hits in search.find(term)}


class TestSearch:
    def test_finds_tables_by_name_alias_and_description(self, orders):
        TableName.objects.create(table=orders, name="purchases")
        orders.description = "What people bought"
        orders.save()

        assert titles("rders")["Tables"] == ["orders"]
        assert titles("purch")["Tables"] == ["orders"]
        assert titles("BOUGHT")["Tables"] == ["orders"]

    def test_puts_the_closest_first(self, orders):
        for name in ("all_orders", "orders_2020", "big_orders"):
            TableFactory(name=name)

        assert titles("orders")["Tables"] == ["orders", "orders_2020", "all_orders", "big_orders"]

    def test_shows_a_column_once_with_all_its_tables(self, orders, pages):
        other = TableFactory(name="invoices")
        publish(other, columns=[ColumnSpec(name="customer_id", type="BIGINT")])
        TableFactory(name="stock")

        (hit,) = next(hits for hits in search.find("customer") if hits.kind == "Columns").found
        listed = pages.get(hit.url).context["cl"].result_list

        assert (hit.title, hit.about) == ("customer_id", "in 2 tables")
        assert [table.name for table in listed] == ["invoices", "orders"]

    def test_finds_everything_else_there_is(self, orders):
        UserFactory(email="shopkeeper@example.com")
        GroupFactory(name="Shop assistants")
        Folder.objects.create(slug="shopping")

        found = titles("shop")

        assert found["Sources"] == ["The shop"]
        assert found["Users"] == ["shopkeeper@example.com"]
        assert found["Groups"] == ["Shop assistants"]
        assert found["Folders"] == ["shopping"]

    def test_finds_a_run_by_its_table_and_by_its_id(self, orders):
        run = Run.objects.create(table=orders, source=orders.source, state=RunState.FAILED)

        assert titles("orders")["Runs"] == ["Extract orders"]
        assert titles(str(run.pk)) == {"Runs": ["Extract orders"]}

    def test_shows_a_few_and_where_all_of_them_are(self, pages):
        TableFactory.create_batch(8)

        (tables,) = search.find("table_")

        assert len(tables.found) == 6
        assert len(pages.get(tables.all_url).context["cl"].result_list) == 8

    @pytest.mark.parametrize("term", ["", "o", "%_", "\0", "x" * 5000, "'; DROP TABLE"])
    def test_takes_anything_that_is_typed(self, pages, orders, term):
        response = pages.get(SEARCH, {"s": term})

        assert response.status_code == 200
        assert "orders" not in response.content.decode()

    def test_escapes_what_was_typed(self, pages):
        page = pages.get(SEARCH, {"s": "<script>alert(1)"}).content.decode()

        assert "<script>" not in page
        assert "Nothing is called" in page

    def test_is_for_administrators(self, client, analyst, orders):
        client.force_login(analyst)

        assert "orders" not in client.get(SEARCH, {"s": "orders"}, follow=True).content.decode()

    def test_takes_few_queries(self, pages, orders, django_assert_max_num_queries):
        for table in TableFactory.create_batch(20):
            Run.objects.create(table=table, source=table.source)

        with django_assert_max_num_queries(12):
            pages.get(SEARCH, {"s": "table_"})
