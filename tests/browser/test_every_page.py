"""What is true of every page: nothing keeps anybody from using it, on any screen."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from extracts.models import Run, RunState
from tests.bench.stock import company
from tests.browser import pages
from tests.factories import TableFactory, publish

_GRAVE = ("serious", "critical")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def stock(transactional_db):
    """A little of everything."""
    company.fill(tables=12, columns=4, users=12, runs=40, events=40, groups=6)


@pytest.fixture
def signed_in(context, live_server):
    """Sign in without the form: ``signed_in(user)``."""

    def sign_in(user) -> None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])

    return sign_in


def faults(page, server: str, paths) -> dict[str, list[str]]:
    """Return what keeps people from using each page; pages nobody may open are left out."""
    found = {}
    for path in paths:
        if page.goto(server + path).status != 200:
            continue
        page.wait_for_load_state("networkidle")
        answer = Axe().run(page, options={"resultTypes": ["violations"]}).response
        grave = [
            f"{each['id']}: {node['html'][:150]}"
            for each in answer["violations"]
            if each["impact"] in _GRAVE
            for node in each["nodes"]
        ]
        if grave:
            found[path] = grave
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
class TestEachPage:
    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_of_the_admin_is_open_to_all(self, page, live_server, admin, stock, signed_in, theme):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        signed_in(admin)

        assert faults(page, live_server.url, pages.for_administrators()) == {}

    def test_of_analysts_is_open_to_all(self, page, live_server, analyst, grant, signed_in, theme):
        table = TableFactory(name="orders", description="One row for each order.")
        publish(table)
        grant(analyst, table)
        page.emulate_media(color_scheme=theme)
        assert faults(page, live_server.url, pages.FOR_EVERYBODY) == {}
        signed_in(analyst)

        assert faults(page, live_server.url, pages.FOR_ANALYSTS) == {}


class TestPhone:
    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_shows_each_page_without_scrolling_sideways(
        self, page, live_server, admin, stock, signed_in
    ):
        page.set_viewport_size({"width": 390, "height": 844})
        signed_in(admin)

        wide = {}
        for path in pages.for_administrators():
            page.goto(live_server.url + path)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > 390:
                wide[path] = width
        assert wide == {}


class TestKeyboard:
    def test_skips_the_sidebar(self, admin_page):
        admin_page.keyboard.press("Tab")
        expect(admin_page.get_by_role("link", name="Skip to the content")).to_be_focused()

        admin_page.keyboard.press("Enter")

        assert admin_page.evaluate("document.activeElement.id") == "content"

    def test_opens_the_account_and_the_filters(self, admin_page, live_server, stock):
        admin_page.goto(live_server.url + reverse("admin:catalog_table_changelist"))

        admin_page.get_by_role("button", name="Filters").focus()
        admin_page.keyboard.press("Enter")
        expect(admin_page.get_by_role("link", name="No data yet")).to_be_visible()
        admin_page.wait_for_function(
            "document.getElementById('changelist-filter').contains(document.activeElement)"
        )
        admin_page.keyboard.press("Escape")
        expect(admin_page.get_by_role("button", name="Filters")).to_be_focused()


class TestSearch:
    def test_is_done_by_the_keyboard_alone(self, admin_page, live_server, stock, complaints):
        admin_page.keyboard.press("Control+k")
        with admin_page.expect_response(re.compile("s=orders_0000$")):
            admin_page.keyboard.type("orders_0000")
        expect(admin_page.get_by_role("option").first).to_contain_text("orders_00000")

        admin_page.keyboard.press("ArrowDown")
        admin_page.keyboard.press("Enter")

        admin_page.wait_for_url("**/catalog/table/*/change/")
        assert "Orders 8" in admin_page.title()
        assert complaints == []

    def test_gives_the_focus_back(self, admin_page):
        opener = admin_page.get_by_role("button", name="Search")
        opener.focus()
        admin_page.keyboard.press("Enter")
        expect(admin_page.get_by_role("combobox")).to_be_focused()

        admin_page.keyboard.press("Escape")

        expect(opener).to_be_focused()


class TestOverview:
    def test_runs_again_in_place(self, admin_page, live_server, stock, complaints):
        Run.objects.update(state=RunState.FAILED)
        admin_page.goto(f"{live_server.url}/admin/")
        before = Run.objects.count()

        admin_page.get_by_role("button", name="Run again").first.click()

        expect(admin_page.locator("#overview").get_by_text("queued").first).to_be_visible()
        assert admin_page.url == f"{live_server.url}/admin/"
        assert Run.objects.count() == before + 1
        assert complaints == []

    def test_renews_itself_while_something_runs(self, admin_page, live_server, stock):
        run = Run.objects.order_by("-queued_at").first()
        Run.objects.filter(pk=run.pk).update(
            state=RunState.RUNNING, lease_until="2099-01-01T00:00Z"
        )
        admin_page.goto(f"{live_server.url}/admin/")
        expect(admin_page.locator("#overview[data-live]")).to_be_attached()

        Run.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED, lease_until=None)

        expect(admin_page.locator("#overview:not([data-live])")).to_be_attached()


class TestList:
    def test_comes_back_as_it_was_left(self, admin_page, live_server, stock):
        listed = live_server.url + reverse("admin:catalog_table_changelist")
        admin_page.goto(listed)
        admin_page.get_by_role("textbox").fill("orders")
        admin_page.keyboard.press("Enter")
        admin_page.wait_for_url("**q=orders**")
        admin_page.get_by_role("link", name="orders_00008").click()
        admin_page.get_by_role("link", name="Tables").first.click()

        expect(admin_page.get_by_text("Not all is shown")).to_be_visible()
        admin_page.get_by_role("link", name="Show all").click()
        expect(admin_page.get_by_role("link", name="prices_00007")).to_be_visible()
        admin_page.goto(f"{live_server.url}/admin/")
        admin_page.get_by_role("link", name="Tables").first.click()
        expect(admin_page.get_by_role("link", name="prices_00007")).to_be_visible()
