"""When tables run, as pages and the API say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.urls import reverse

from access.models import AuditEvent
from catalog.models import Table
from tests.factories import SourceFactory, TableFactory

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


def _table(**fields) -> Table:
    done = NOW - timedelta(hours=1)
    table = TableFactory(**fields)
    Table.objects.filter(pk=table.pk).update(slot_at=done, last_success_at=done)
    return table


def _page(pages, obj) -> str:
    name = f"admin:catalog_{obj._meta.model_name}_change"
    return pages.get(reverse(name, args=[obj.pk])).content.decode()


def _do(pages, table, name: str) -> str:
    url = reverse("admin:catalog_table_do", args=[table.pk, name])
    return pages.post(url, follow=True).content.decode()


class TestPageOfATable:
    def test_says_what_the_schedule_means_and_when_it_runs_next(self, pages):
        page = _page(pages, _table(sync_schedule="every 6h"))

        assert "Every 6 hours." in page
        assert "in 5 hours" in page

    def test_says_whose_schedule_it_keeps_to(self, pages):
        page = _page(pages, _table(source=SourceFactory(schedule="daily 07:00")))

        assert "Every day at 07:00 UTC." in page
        assert "as its source" in page

    def test_names_no_next_run_where_none_is_planned(self, pages):
        page = _page(pages, _table())

        assert "when asked for" in page
        assert "Next run" not in page

    def test_shows_the_next_try_of_a_source_that_failed(self, pages):
        table = _table(sync_schedule="every 6h")
        Table.objects.filter(pk=table.pk).update(retry_at=NOW + timedelta(minutes=4))

        page = _page(pages, table)

        assert "Next try" in page
        assert "in 4 minutes" in page

    def test_pauses_and_resumes(self, pages):
        table = _table(sync_schedule="every 6h")

        assert "is paused: it is brought anew only when asked for." in _do(pages, table, "pause")
        table.refresh_from_db()
        assert table.is_paused
        assert "keeps to its schedule again" in _do(pages, table, "resume")
        table.refresh_from_db()
        assert not table.is_paused
        assert AuditEvent.objects.filter(action="update_table").count() == 2

    def test_lets_its_form_explain_the_schedule(self, pages):
        assert 'data-explain="/api/admin/schedule"' in _page(pages, _table())


class TestPageOfASource:
    def test_says_when_the_first_of_its_tables_runs(self, pages):
        source = SourceFactory(schedule="every 2h")
        _table(source=source)
        _table(source=source, sync_schedule="daily 18:00")

        page = _page(pages, source)

        assert "Every 2 hours." in page
        assert "in 1 hour" in page
        assert 'data-explain="/api/admin/schedule"' in page


class TestLists:
    def test_show_the_next_run_of_each_table(self, pages):
        _table(sync_schedule="every 6h")
        _table(sync_schedule="every 3h", is_paused=True)
        _table()

        page = pages.get(reverse("admin:catalog_table_changelist")).content.decode()

        assert "in 5 hours" in page
        assert "paused" in page
        assert "when asked for" in page

    def test_show_the_next_run_of_each_source(self, pages):
        _table(source=SourceFactory(schedule="every 6h"))

        page = pages.get(reverse("admin:catalog_source_changelist")).content.decode()

        assert "in 5 hours" in page


class TestExplainSchedule:
    def test_says_what_it_means_and_when_it_would_run(self, admin_api):
        answer = admin_api.get(
            "/api/admin/schedule", {"text": "cron 0 7 * * 1-5 Europe/Prague"}
        ).json()

        assert answer["sentence"] == "At 07:00 on Monday through Friday, Europe/Prague time."
        assert answer["zone"] == "Europe/Prague"
        assert answer["next_runs"][0] == "2026-11-23T07:00:00+01:00"
        assert len(answer["next_runs"]) == 3

    def test_says_what_is_wrong(self, admin_api):
        response = admin_api.get("/api/admin/schedule", {"text": "cron 0 7 * * * Europe/Prag"})

        assert response.status_code == 422
        assert response.json()["code"] == "schedule_invalid"
        assert "Europe/Prague" in response.json()["message"]

    def test_is_for_administrators(self, api):
        assert api.get("/api/admin/schedule", {"text": "every 6h"}).status_code == 403


class TestRegistry:
    def test_tells_when_each_table_runs(self, admin_api):
        _table(name="orders", sync_schedule="every 6h")
        _table(name="quiet")

        rows = {row["name"]: row for row in admin_api.get("/api/admin/registry").json()["tables"]}

        assert rows["orders"]["next_run_at"].startswith("2026-11-21T17:0")
        assert rows["orders"]["last_success_at"] == "2026-11-21T11:00:00Z"
        assert rows["orders"]["next_try_at"] is None
        assert rows["quiet"]["next_run_at"] is None

    def test_pauses_a_table(self, admin_api):
        table = _table(name="orders", sync_schedule="every 6h")

        answer = admin_api.put(
            "/api/admin/registry/orders", {"is_paused": True}, content_type="application/json"
        )

        assert answer.json()["updated"] == ["is_paused"]
        table.refresh_from_db()
        assert table.is_paused
