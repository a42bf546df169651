import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.factories import SourceFactory, TableFactory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


class TestScheduleField:
    def test_says_what_is_typed_and_what_is_wrong_in_place(
        self, admin_page, live_server, complaints
    ):
        source = SourceFactory(schedule="daily 07:00")
        page = reverse("admin:catalog_source_change", args=[source.pk])

        admin_page.goto(live_server.url + page)
        said = admin_page.locator("#id_schedule-explained")
        expect(said).to_contain_text("Every day at 07:00 UTC. Next: ")

        admin_page.fill("#id_schedule", "cron 0 7 * * 1-5 Europe/Prague")
        expect(said).to_contain_text("Monday through Friday, Europe/Prague time. Next: Mon")
        assert complaints == []

        admin_page.fill("#id_schedule", "cron 0 7 * * 1-5 Europe/Prag")
        expect(said).to_contain_text("no time zone 'Europe/Prag'; the nearest one is Europe/Prague")
        expect(admin_page.locator("#id_schedule")).to_have_attribute("aria-invalid", "true")

        admin_page.fill("#id_schedule", "")
        expect(said).to_have_text("")

    def test_a_table_is_paused_on_its_page(self, admin_page, live_server, complaints):
        table = TableFactory(sync_schedule="every 6h")
        page = reverse("admin:catalog_table_change", args=[table.pk])

        admin_page.goto(live_server.url + page)
        admin_page.get_by_role("button", name="Pause").click()

        expect(admin_page.get_by_role("button", name="Resume")).to_be_visible()
        assert complaints == []
