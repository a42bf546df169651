from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEvent
from extracts.models import Run, RunState
from extracts.services import runs
from tests.factories import SourceFactory, TableFactory, publish


@pytest.fixture
def pages(client, admin):
    client.force_login(admin)
    return client


def page_of(run: Run) -> str:
    return reverse("admin:extracts_run_change", args=[run.pk])


def do(obj, name: str) -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_do", args=[obj.pk, name])


def text_of(response) -> str:
    return response.content.decode()


def running(**fields) -> Run:
    table = TableFactory()
    return Run.objects.create(
        table=table, source=table.source, state=RunState.RUNNING,
        lease_until=timezone.now() + timedelta(hours=1), **fields,
    )  # fmt: skip


def failed(**fields) -> Run:
    table = TableFactory()
    return Run.objects.create(
        table=table, source=table.source, state=RunState.FAILED, error_code="data_invalid",
        error_message="Line 7 has too many values.", error_hint="Mend line 7.", **fields,
    )  # fmt: skip


class TestRunPages:
    def test_follow_a_run_that_works(self, pages):
        run = running(phase="extract", done=5, total=10)

        page = text_of(pages.get(page_of(run)))

        assert f'data-url="/api/runs/{run.pk}/progress"' in page
        assert 'max="10" value="5"' in page
        assert "Cancel" in page
        assert "Run again" not in page

    def test_send_progress_to_the_session_of_an_administrator(self, pages):
        run = failed()

        stream = b"".join(pages.get(f"/api/runs/{run.pk}/progress").streaming_content)

        assert b'"state":"failed"' in stream

    def test_say_what_went_wrong_and_what_to_do(self, pages):
        page = text_of(pages.get(page_of(failed(log="08:15 extract\n"))))

        assert "Line 7 has too many values." in page
        assert "Mend line 7." in page
        assert "08:15 extract" in page
        assert "ag-live" not in page

    def test_cancel_a_run(self, pages):
        run = running()

        pages.post(do(run, "cancel"))

        run.refresh_from_db()
        assert run.state == RunState.CANCELLED
        assert AuditEvent.objects.filter(action="run.cancel").exists()

    def test_say_that_a_run_is_over(self, pages):
        response = pages.post(do(failed(), "cancel"), follow=True)

        assert response.status_code == 200
        assert "The run is over already." in text_of(response)

    def test_run_again(self, pages, admin):
        run = failed()

        response = pages.post(do(run, "run_again"))

        again = Run.objects.get(state=RunState.QUEUED)
        assert response.url == page_of(again)
        assert (again.table, again.requested_by) == (run.table, admin)

    def test_run_several_again(self, pages):
        found = [failed(), failed()]
        found.append(
            Run.objects.create(table=found[0].table, source=found[0].source, state="failed")
        )

        asked = pages.post(
            reverse("admin:extracts_run_changelist"),
            {"action": "run_again", "_selected_action": [str(run.pk) for run in found]},
        )
        assert not Run.objects.open().exists()
        pages.post(
            reverse("admin:extracts_run_bulk", args=["run_again"]),
            {"chosen": ",".join(run.pk.hex for run in found), "apply": "yes"},
        )

        assert "2 runs: what will happen" in text_of(asked)
        assert "Asked for already: once is enough." in text_of(asked)
        assert Run.objects.open().count() == 2

    def test_list_a_hundred_runs_in_few_queries(self, pages, django_assert_max_num_queries):
        for _ in range(100):
            failed()

        with django_assert_max_num_queries(15):
            response = pages.get(reverse("admin:extracts_run_changelist"))

        assert text_of(response).count("Line 7 has too many values.") == 100

    def test_are_written_by_the_system_only(self, pages):
        run = failed()

        assert pages.post(page_of(run), {"state": "succeeded"}).status_code == 403
        assert pages.get(reverse("admin:extracts_run_add")).status_code == 403


class TestTablePages:
    def test_extract_a_table_and_go_to_its_run(self, pages, admin):
        table = TableFactory()

        response = pages.post(do(table, "extract"))

        run = Run.objects.get(table=table)
        assert response.url == page_of(run)
        assert run.requested_by == admin

    def test_extract_an_incremental_table_in_full(self, pages):
        table = TableFactory(sync_strategy="incremental", incremental_column="id")

        pages.post(do(table, "extract_full"))

        assert Run.objects.get(table=table).is_full

    def test_go_to_the_run_that_is_open_already(self, pages):
        table = TableFactory()
        run, _ = runs.request_run(table=table, by=None)

        response = pages.post(do(table, "extract"))

        assert response.url == page_of(run)
        assert Run.objects.count() == 1

    def test_list_the_last_run_of_a_hundred_tables_in_few_queries(
        self, pages, django_assert_max_num_queries
    ):
        for table in TableFactory.create_batch(100):
            publish(table)
            Run.objects.create(table=table, source=table.source, state=RunState.SUCCEEDED)
            Run.objects.create(table=table, source=table.source, state=RunState.FAILED)

        with django_assert_max_num_queries(15):
            response = pages.get(reverse("admin:catalog_table_changelist"))

        assert text_of(response).count(">failed<") == 100

    def test_show_recent_runs(self, pages):
        run = failed()

        page = text_of(pages.get(reverse("admin:catalog_table_change", args=[run.table.pk])))

        assert page_of(run) in page
        assert "Line 7 has too many values." in page


class TestSourcePages:
    def test_extract_all_tables(self, pages):
        source = SourceFactory()
        TableFactory.create_batch(3, source=source)

        pages.post(do(source, "extract"))

        assert Run.objects.open().filter(source=source, table__isnull=False).count() == 3

    def test_offer_no_discovery_where_the_connector_has_none(self, pages):
        source = SourceFactory(source_type="external", config={"folder": "/nowhere"})

        page = text_of(pages.get(reverse("admin:catalog_source_change", args=[source.pk])))

        assert "Find tables" not in page
