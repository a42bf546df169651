"""The list of tables, as readers see it."""

from __future__ import annotations

from tests.factories import TableFactory, publish


class TestListTables:
    def test_returns_only_granted_tables(self, api, analyst, grant):
        orders, _salaries = TableFactory(name="orders"), TableFactory(name="salaries")
        grant(analyst, orders)

        response = api.get("/api/catalog/tables")

        assert [table["name"] for table in response.json()["tables"]] == ["orders"]

    def test_says_what_is_served_of_each(self, api, analyst, grant):
        orders = TableFactory(name="orders")
        publish(orders)
        grant(analyst, orders)

        (found,) = api.get("/api/catalog/tables").json()["tables"]

        assert (found["id"], found["rows"], found["size_bytes"], found["version"]) == (
            "orders", 10, 100, 1,
        )  # fmt: skip
        assert [column["name"] for column in found["columns"]] == ["id"]
        assert found["source"] == orders.source.slug
