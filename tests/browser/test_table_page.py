"""What an administrator does on the page of a table, and in the list of tables."""

import re
import time
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from access.services import grants, groups
from catalog.connectors import ColumnSpec
from extracts.models import Run, RunState
from tests.factories import GroupFactory, TableFactory, UserFactory, publish, stored_part

POLL_SECONDS = 0.5  # how often the server looks whether a run has moved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def table(transactional_db):
    """A table of two versions."""
    found = TableFactory(name="orders")
    publish(found, stored_part(1, rows=10))
    publish(found, stored_part(2, rows=12))
    return found


@pytest.fixture
def analysts(transactional_db):
    """A group of two people, of whom one can read the table already."""
    found = GroupFactory(name="Analysts")
    for name in ("ana", "ben"):
        user = UserFactory(email=f"{name}@example.com", name=name.title())
        groups.add_member(group=found, user=user, by=None)
    return found


@pytest.fixture
def opened(admin_page, live_server, table):
    """The page of the table, at one of its sections."""

    def go(section: str = ""):
        admin_page.goto("about:blank")
        path = reverse("admin:catalog_table_change", args=[table.pk])
        admin_page.goto(f"{live_server.url}{path}#{section}")
        return admin_page

    return go


def choose_group(page, name: str) -> None:
    page.locator(".select2-selection").first.click()
    page.locator(".select2-results__option", has_text=name).click()


class TestExtract:
    def test_is_followed_on_the_page_to_its_result(self, opened, table, complaints):
        page = opened()
        page.get_by_role("button", name="Extract now").click()
        expect(page.locator("[data-run=phase]")).to_have_text("waiting for a worker")
        run = Run.objects.get(table=table)

        Run.objects.filter(pk=run.pk).update(
            state=RunState.RUNNING, phase="extract", done=3, total=4, started_at=timezone.now(),
            lease_until=timezone.now() + timedelta(hours=1),
        )  # fmt: skip
        expect(page.locator("[data-run=count]")).to_have_text("3 of 4")
        publish(table, stored_part(3, rows=4321))
        Run.objects.filter(pk=run.pk).update(
            state=RunState.SUCCEEDED, phase="", rows=4321, finished_at=timezone.now(),
            lease_until=None,
        )  # fmt: skip

        expect(page.get_by_text("4,321 rows in")).to_be_visible()
        expect(page.locator("#part-facts dd", has_text="4,321")).to_be_visible()
        page.get_by_role("link", name="Versions").click()
        expect(page.locator("#part-versions tbody tr")).to_have_count(3)
        assert complaints == []

    def test_is_cancelled_on_the_page(self, opened, table, complaints):
        page = opened()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Extract now").click()

        page.get_by_role("button", name="Cancel").click()

        expect(page.get_by_text("The run is cancelled")).to_be_visible()
        expect(page.locator("#part-facts .ag-badge", has_text="cancelled")).to_be_visible()
        assert Run.objects.get(table=table).state == RunState.CANCELLED
        assert complaints == []

    def test_keeps_what_was_said_when_the_page_was_being_renewed(self, opened, table, complaints):
        page = opened()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Extract now").click()
        cancel = page.get_by_role("button", name="Cancel")
        expect(cancel).to_be_visible()
        page.wait_for_load_state("networkidle")
        late = []
        page.route(re.compile("/part/facts/"), lambda route: late.append(route))
        page.evaluate("document.body.dispatchEvent(new Event('ag-changed', {bubbles: true}))")

        cancel.click()
        expect(page.get_by_text("The run is cancelled")).to_be_visible()
        with page.expect_response(re.compile("/part/facts/")):
            late[0].continue_()
        page.unroute_all()
        page.wait_for_load_state("networkidle")

        expect(page.get_by_text("The run is cancelled")).to_be_visible()
        assert complaints == []

    @pytest.fixture(autouse=True)
    def ended(self, table, admin_page):
        """Let no stream outlive its test."""
        yield
        Run.objects.open().update(state=RunState.CANCELLED, lease_until=None)
        admin_page.goto("about:blank")
        time.sleep(2 * POLL_SECONDS)


class TestGrant:
    def test_is_counted_before_it_is_given_and_taken(self, opened, table, analysts, complaints):
        asked = []
        page = opened("readers")
        page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))

        choose_group(page, "Analysts")
        expect(page.locator(".ag-effect")).to_contain_text(
            "2 people in Analysts will be able to read it. New: Ana, Ben."
        )
        # What was chosen stays when a run ends meanwhile.
        page.evaluate("document.body.dispatchEvent(new Event('ag-changed', {bubbles: true}))")
        page.wait_for_load_state("networkidle")
        page.get_by_role("button", name="Grant", exact=True).click()
        expect(page.get_by_role("heading", name="Who reads it: 2 people")).to_be_visible()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("heading", name="Who reads it: 0 people")).to_be_visible()

        assert "2 people will no longer be able to read it: Ana, Ben." in asked[0]
        assert complaints == []

    def test_is_counted_on_the_page_of_grants(
        self, admin_page, live_server, table, analysts, complaints
    ):
        admin_page.goto(live_server.url + reverse("admin:access_grant_add"))
        choose_group(admin_page, "Analysts")
        admin_page.locator(".select2-selection").nth(1).click()
        admin_page.locator(".select2-search__field").fill("ord")
        admin_page.locator(".select2-results__option", has_text="orders").last.click()

        expect(admin_page.locator(".ag-effect")).to_contain_text("2 people in Analysts")
        admin_page.get_by_role("button", name="Save", exact=True).click()

        admin_page.wait_for_url("**/access/grant/")
        assert analysts.grants.get().resource_id == "orders"
        assert complaints == []


class TestGroupPage:
    def test_asks_whom_a_revoked_grant_concerns(
        self, admin_page, live_server, table, analysts, complaints
    ):
        grants.grant(group=analysts, resource_type="table", resource_id="orders", by=None)
        asked = []
        admin_page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
        path = reverse("admin:access_group_change", args=[analysts.pk])
        admin_page.goto(live_server.url + path)

        admin_page.get_by_role("button", name="Revoke").click()

        expect(admin_page.get_by_text("lost its grant on table orders")).to_be_visible()
        assert "2 people will no longer be able to read it: Ana, Ben." in asked[0]
        assert complaints == []


class TestSignedOut:
    def test_leads_to_signing_in_instead_of_into_a_part(self, opened, context):
        page = opened("versions")
        page.on("dialog", lambda dialog: dialog.accept())
        context.clear_cookies()

        page.evaluate("htmx.trigger('#part-versions', 'refresh')")

        page.wait_for_url("**/accounts/login/**")


class TestRollBack:
    def test_asks_what_it_means_and_stays_on_the_page(self, opened, table, complaints):
        asked = []
        page = opened("versions")
        page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))

        page.get_by_role("button", name="Roll back to this").click()

        expect(page.get_by_text("as version 3")).to_be_visible()
        expect(page.get_by_role("button", name="Release")).to_be_visible()
        assert asked == [
            "Serve version 1 again? It has 10 rows, -2 compared with now. Readers get it with "
            "their next pull. No new version comes in until you release the table."
        ]
        assert complaints == []


class TestColumn:
    def test_is_described_in_place(self, opened, table, complaints):
        page = opened("columns")
        box = page.get_by_label("Description of id")

        box.fill("Number of the order")
        box.blur()

        expect(page.get_by_text("Kept.")).to_be_visible()
        assert table.columns.get(name="id").description == "Number of the order"
        page.reload()
        expect(page.get_by_label("Description of id")).to_have_value("Number of the order")
        assert complaints == []

    def test_keeps_what_is_written_before_its_details_have_come(self, opened, table):
        page = opened()
        late = []
        page.route(re.compile("/part/columns/"), lambda route: late.append(route))
        page.get_by_role("link", name="Columns").click()
        box = page.get_by_label("Description of id")
        box.fill("Number of the order")
        while not late:
            page.wait_for_timeout(50)
        with page.expect_response(re.compile("/part/columns/")):
            for route in late:
                route.continue_()
        page.wait_for_timeout(300)

        expect(box).to_have_value("Number of the order")


class TestSections:
    def test_survive_a_reload(self, opened, table):
        page = opened()
        page.get_by_role("link", name="Readers").click()

        page.reload()

        expect(page.get_by_role("heading", name="Who reads it")).to_be_visible()
        expect(page.get_by_role("heading", name="First rows")).to_be_hidden()
        expect(page.get_by_role("button", name="Save", exact=True)).to_be_hidden()

    def test_open_the_form_where_something_is_wrong(self, opened, table):
        page = opened("settings")
        page.locator("#id_sync_schedule").fill("now and then")

        page.get_by_role("button", name="Save", exact=True).click()

        expect(page.get_by_text("is not a schedule").first).to_be_visible()

    @pytest.mark.parametrize("section", ["data", "columns", "readers", "versions", "runs"])
    @pytest.mark.parametrize("width", [1400, 390])
    def test_fit_the_screen(self, opened, table, section, width, complaints):
        wide = [ColumnSpec(name=f"column_number_{n}", type="DECIMAL(38,10)") for n in range(150)]
        publish(table, stored_part(9), columns=wide)
        page = opened(section)

        page.set_viewport_size({"width": width, "height": 900})

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []


class TestBulk:
    def test_shows_what_will_happen_while_it_is_filled_in(
        self, admin_page, live_server, table, analysts, complaints
    ):
        other = TableFactory(name="invoices")
        admin_page.goto(live_server.url + reverse("admin:catalog_table_changelist"))
        for box in admin_page.locator("input.action-select").all():
            box.check()
        admin_page.select_option("select[name=action]", "grant")
        admin_page.get_by_role("button", name="Run").click()

        expect(admin_page.get_by_role("heading", name="2 tables chosen")).to_be_visible()
        choose_group(admin_page, "Analysts")
        expect(admin_page.get_by_text("2 people in Analysts will read them")).to_be_visible()
        admin_page.get_by_role("button", name="Grant 2 tables").click()

        expect(admin_page.get_by_text("Granted: 2 tables.")).to_be_visible()
        assert set(analysts.grants.values_list("resource_id", flat=True)) == {
            table.name, other.name,
        }  # fmt: skip
        assert complaints == []
