"""The first page after signing in."""

from __future__ import annotations

from catalog.connectors import ColumnSpec
from tests.factories import TableFactory, publish


class TestHome:
    def test_shows_an_analyst_the_tables_they_may_read(self, client, analyst, grant):
        orders = TableFactory(name="orders", description="<b>One row an order</b>")
        TableFactory(name="salaries")
        publish(orders)
        grant(analyst, orders)
        client.force_login(analyst)

        page = client.get("/").content.decode()

        assert "orders" in page
        assert "you may read 1 table." in page
        assert "&lt;b&gt;One row" in page
        assert "salaries" not in page
        assert "agnes init" in page

    def test_says_what_to_do_without_any_grant(self, client, analyst):
        client.force_login(analyst)

        assert "ask an administrator" in client.get("/").content.decode()

    def test_sends_administrators_to_the_admin(self, client, admin):
        client.force_login(admin)

        assert client.get("/").url == "/admin/"

    def test_asks_strangers_to_sign_in(self, client, db):
        assert client.get("/").url.startswith("/accounts/login/")

    def test_costs_the_same_for_many_tables(
        self, client, analyst, grant, django_assert_max_num_queries
    ):
        for _ in range(20):
            grant(analyst, TableFactory())
        client.force_login(analyst)

        with django_assert_max_num_queries(8):
            client.get("/")

    def test_searches_tables_and_their_columns(self, client, analyst, grant):
        orders, visits = TableFactory(name="orders"), TableFactory(name="visits")
        for table, column in ((orders, "customer"), (visits, "browser")):
            publish(table, columns=[ColumnSpec(name=column, type="VARCHAR")])
            grant(analyst, table)
        publish(TableFactory(name="salaries"), columns=[ColumnSpec(name="customer", type="INT")])
        client.force_login(analyst)

        page = client.get("/", {"q": "CUSTOM"}).content.decode()

        assert "1 table found." in page
        assert "orders" in page
        assert "visits" not in page
        assert "salaries" not in page

    def test_says_that_nothing_is_called_so(self, client, analyst, grant):
        grant(analyst, TableFactory(name="orders"))
        client.force_login(analyst)

        page = client.get("/", {"q": "<b>nowhere\0"}).content.decode()

        assert "is called “&lt;b&gt;nowhere”" in page

    def test_proposes_a_question_that_has_an_answer(self, client, analyst, grant):
        grant(analyst, TableFactory(name="a_later_one"))
        orders = TableFactory(name="orders")
        publish(orders)
        grant(analyst, orders)
        client.force_login(analyst)

        assert "FROM &quot;orders&quot; LIMIT 10" in client.get("/").content.decode()
