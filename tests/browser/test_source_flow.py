"""From nothing to rows, as a person goes: a whole server, a worker, and a browser."""

from __future__ import annotations

import sqlite3

import pytest
from playwright.sync_api import Page, expect

from tests.browser import chromium
from tests.journeys.installation import Installation

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What there is to be read."""
    made = tmp_path_factory.mktemp("upstream")
    for name in ("orders", "invoices"):
        rows = "".join(f"{number},{number}.5\n" for number in range(100))
        (made / f"{name}.csv").write_text("id,amount\n" + rows, encoding="utf-8")
    (made / "empty.csv").touch()
    with sqlite3.connect(made / "crm.sqlite") as database:
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO people VALUES (1, 'Ada'), (2, 'Ben')")
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    """An installation that may read the folder."""
    made = Installation(tmp_path_factory.mktemp("server"), AGNES_FILES_ROOTS=str(folder))
    try:
        made.start_web()
        made.start_worker()
        yield made
    finally:
        made.stop()


@pytest.fixture
def signed_in(page: Page, server) -> Page:
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    chromium.sign_in(page, server.url, email="ada@example.com", password="a long password")
    return page


def add(page: Page, server, kind: str, name: str) -> None:
    page.goto(f"{server.url}/admin/catalog/source/add/")
    page.get_by_role("link", name=kind).click()
    page.locator("[name=slug]").fill(name)


class TestFiles:
    def test_go_from_a_wrong_folder_to_rows_on_one_page(self, signed_in, server, folder):
        page = signed_in
        add(page, server, "Files", "shop")
        page.evaluate("window.isStillHere = true")
        where = page.locator("[name=setting_folder], [name=setting_place__folder]").first

        where.fill(str(folder / "nothing"))
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator(".ag-answer")).to_contain_text("nothing")
        where.fill(str(folder))
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator(".ag-answer")).to_contain_text("It works.")
        page.get_by_role("button", name="Save and choose tables").click()

        expect(page.get_by_text("empty.csv is empty")).to_be_visible()
        page.get_by_role("button", name="Preview orders.csv").click()
        expect(page.get_by_role("columnheader", name="amount")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_label("Choose orders.csv").check()
        page.get_by_label("Choose invoices.csv").check()
        page.get_by_label("Name of invoices.csv").fill("orders")
        expect(page.get_by_text("Two of the chosen have this name.").first).to_be_visible()
        page.get_by_label("Name of invoices.csv").fill("bills")
        page.get_by_label("Who may read them").select_option("Everyone")
        page.get_by_role("button", name="Register and extract 2 tables").click()

        expect(page.get_by_role("heading", name="All 2 tables have their")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="bills")).to_contain_text("100")
        assert page.evaluate("window.isStillHere"), "the page was left on the way"
        grants = {grant["resource_id"] for grant in server.call("GET", "/api/admin/grants")}
        assert grants == {"orders", "bills"}
        self.is_asked_before_a_change_loses_tables(page, server, folder)

    def is_asked_before_a_change_loses_tables(self, page, server, folder):
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        page.goto(f"{server.url}/admin/catalog/source/")
        page.get_by_role("link", name="shop").first.click()

        page.locator("[name=setting_folder], [name=setting_place__folder]").first.fill(
            str(elsewhere)
        )
        page.get_by_role("button", name="Save", exact=True).click()

        expect(page.locator(".ag-answer")).to_contain_text("no longer has 2 of its tables")
        expect(page.locator(".ag-answer")).to_contain_text("orders.csv")
        page.get_by_role("button", name="Save all the same").click()
        page.wait_for_url("**/admin/catalog/source/")
        assert str(elsewhere) in str(server.call("GET", "/api/admin/sources/shop")["config"])


class TestSqlite:
    def test_goes_to_rows(self, signed_in, server, folder):
        page = signed_in
        add(page, server, "SQLite", "crm")
        page.locator("[name=setting_path]").fill(str(folder / "crm.sqlite"))

        page.get_by_role("button", name="Save and choose tables").click()
        page.get_by_label("Choose people").check()
        page.get_by_role("button", name="Register and extract 1 table").click()

        expect(page.get_by_role("heading", name="The table has its first rows")).to_be_visible()

    def test_leaves_rows_where_they_are(self, signed_in, server, folder):
        page = signed_in
        with sqlite3.connect(folder / "hr.sqlite") as database:
            database.execute("CREATE TABLE staff (id INTEGER PRIMARY KEY)")
        add(page, server, "SQLite", "hr")
        page.locator("[name=setting_path]").fill(str(folder / "hr.sqlite"))
        page.get_by_role("button", name="Save and choose tables").click()
        page.get_by_label("Choose staff").check()

        page.get_by_label("Where their rows are").select_option("remote")
        expect(page.get_by_label("Schedule")).to_be_hidden()
        page.get_by_role("button", name="Register 1 table").click()

        expect(page.get_by_role("heading", name="The table is registered")).to_be_visible()
        expect(page.get_by_text("Their views appear in server.duckdb")).to_be_visible()
        assert server.call("GET", "/api/catalog/tables?source=hr")["tables"][0]["query_mode"] == (
            "remote"
        )
