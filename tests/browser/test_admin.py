import time
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from access.models import AccessToken
from extracts.models import Run, RunState
from tests.factories import SourceFactory, TableFactory, publish, stored_part

POLL_SECONDS = 0.5  # how often the server looks whether a run has moved

# The server of these tests reads what was committed; the seeded groups come back after each one.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def table(transactional_db):
    """A table with a history, and a long name."""
    found = TableFactory(name="orders_of_the_last_twelve_months", display_name="Orders, long")
    publish(found, stored_part(1, rows=1_234_567, size=323_000_000))
    publish(found, stored_part(2, rows=1_234_568, size=323_000_100))
    return found


@pytest.fixture
def run(table, page):
    """A run that works; it ends with the test, so that the server stops telling of it."""
    found = Run.objects.create(
        table=table, source=table.source, state=RunState.RUNNING, phase="extract", done=1, total=4,
        started_at=timezone.now(), lease_until=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    yield found
    Run.objects.open().update(state=RunState.CANCELLED, lease_until=None)
    page.goto("about:blank")
    time.sleep(2 * POLL_SECONDS)


def page_of(obj) -> str:
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    return reverse(name, args=[obj.pk])


class TestOverviewPage:
    def test_opens_after_signing_in(self, admin_page, complaints):
        expect(admin_page.locator(".ag-verdict")).to_contain_text("waits for its first source")
        expect(admin_page.get_by_role("heading", name="Bring a table in")).to_be_visible()
        assert complaints == []


class TestRunPage:
    def test_follows_a_run_to_its_end(self, admin_page, live_server, run, complaints):
        admin_page.goto(live_server.url + page_of(run))
        expect(admin_page.locator("[data-run=count]")).to_have_text("1 of 4")

        Run.objects.filter(pk=run.pk).update(phase="validate", done=3)
        expect(admin_page.locator("[data-run=phase]")).to_have_text("validate")
        expect(admin_page.locator("[data-run=count]")).to_have_text("3 of 4")

        Run.objects.filter(pk=run.pk).update(
            state=RunState.SUCCEEDED, phase="", rows=1234, finished_at=timezone.now(),
            lease_until=None,
        )  # fmt: skip
        expect(admin_page.get_by_role("button", name="Run again")).to_be_visible()
        expect(admin_page.locator("[data-run=rows]")).to_have_text("1,234")
        assert complaints == []


class TestButtons:
    def test_do_nothing_when_the_question_is_answered_with_no(self, admin_page, live_server, table):
        admin_page.on("dialog", lambda dialog: dialog.dismiss())
        admin_page.goto(live_server.url + page_of(table) + "#versions")

        admin_page.get_by_role("button", name="Roll back to this").click()

        table.refresh_from_db()
        assert not table.is_pinned

    def test_roll_a_table_back_and_release_it(self, admin_page, live_server, table, complaints):
        admin_page.on("dialog", lambda dialog: dialog.accept())
        admin_page.goto(live_server.url + page_of(table) + "#versions")

        admin_page.get_by_role("button", name="Roll back to this").click()
        expect(admin_page.get_by_text("serves version 1 again")).to_be_visible()
        admin_page.get_by_role("button", name="Release").click()
        expect(admin_page.get_by_text("is released")).to_be_visible()

        assert complaints == []


class TestNewToken:
    def test_is_selected_where_the_browser_copies_nothing(self, admin_page, admin, live_server):
        admin_page.add_init_script(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
        )
        admin_page.goto(
            live_server.url + reverse("admin:access_accesstoken_add") + f"?user={admin.pk}"
        )
        admin_page.get_by_label("Name").fill("laptop")
        admin_page.get_by_role("button", name="Save", exact=True).click()

        admin_page.get_by_role("button", name="Copy").click()

        expect(admin_page.get_by_role("button", name="Selected: press")).to_be_visible()
        secret = admin_page.locator("#secret").inner_text()
        assert admin_page.evaluate("getSelection().toString()") == secret

    def test_is_copied_by_a_button(self, admin_page, admin, context, live_server, complaints):
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        admin_page.goto(
            live_server.url + reverse("admin:access_accesstoken_add") + f"?user={admin.pk}"
        )
        admin_page.get_by_label("Name").fill("laptop")
        admin_page.get_by_role("button", name="Save", exact=True).click()

        secret = admin_page.locator("#secret").inner_text()
        admin_page.get_by_role("button", name="Copy").click()
        expect(admin_page.get_by_role("button", name="Copied")).to_be_visible()

        assert admin_page.evaluate("navigator.clipboard.readText()") == secret
        assert secret.startswith("agn_pat_")
        assert complaints == []

        admin_page.reload()
        assert admin_page.locator("#secret").count() == 0
        assert AccessToken.objects.filter(name="laptop").count() == 1


class TestEachPage:
    @pytest.mark.parametrize("width", [1400, 390])
    def test_fits_the_screen(self, admin_page, live_server, run, width, complaints):
        admin_page.set_viewport_size({"width": width, "height": 900})
        SourceFactory()
        pages = [
            "/admin/",
            reverse("admin:catalog_table_changelist"),
            reverse("admin:extracts_run_changelist"),
            page_of(run.table),
            page_of(run.source),
            page_of(run),
        ]

        widths = {}
        for path in pages:
            admin_page.goto(live_server.url + path)
            widths[path] = admin_page.evaluate("document.documentElement.scrollWidth")

        assert {path: found for path, found in widths.items() if found > width} == {}
        assert complaints == []
