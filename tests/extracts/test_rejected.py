"""Rows that cannot be read: set aside, kept, shown to administrators, forgotten."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEvent
from extracts.models import Run, RunOutcome, RunState
from extracts.services import extraction, finishing, publication, rejected, runs
from extracts.services.holding import hold
from tests.factories import SourceFactory, TableFactory

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def folder(layout, tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def table(db, folder):
    (folder / "orders.csv").write_text(f"id,amount\n1,10\n2\n3,{HOSTILE}\n4,40\n")
    source = SourceFactory(slug="shop", config={"folder": str(folder)})
    options = {"bad_rows": "quarantine", "types": {"amount": "BIGINT"}}
    return TableFactory(name="orders", source=source, options=options)


def extracted(table) -> Run:
    run, _ = runs.request_run(table=table, by=None)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def ended_after(table, monkeypatch, *, step: str = "publish.committed") -> Run:
    """Return a run whose worker came to a step and is not heard of since."""

    def end(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    run, _ = runs.request_run(table=table, by=None)
    with monkeypatch.context() as patch:
        patch.setattr(publication, "failpoint", end)
        with pytest.raises(KeyboardInterrupt):
            extraction.execute(runs.claim(run.pk, worker="test"))
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    return run


class TestRunThatSetsRowsAside:
    def test_publishes_the_others_and_says_how_many(self, table):
        run = extracted(table)

        assert (run.state, run.rows, run.rejected_rows) == (RunState.SUCCEEDED, 2, 2)
        assert "Set aside 2 rows that could not be read." in run.log
        assert [(row.row, row.column, row.text) for row in rejected.first_rows(run, limit=9)] == [
            (3, "", "2"),
            (4, "amount", f"3,{HOSTILE}"),
        ]

    def test_keeps_the_last_good_version_when_there_are_too_many(self, table, folder):
        extracted(table)
        table.refresh_from_db()
        table.options = {**table.options, "max_bad_rows": 1}
        table.save()

        run = extracted(table)

        table.refresh_from_db()
        assert (run.state, run.error_code) == (RunState.FAILED, "bad_rows_too_many")
        assert table.current_version.number == 1
        assert not rejected.place_of(run.pk).exists()

    def test_loses_none_when_its_worker_is_killed_after_it_published(self, table, monkeypatch):
        run = ended_after(table, monkeypatch)

        extraction.execute(runs.claim(run.pk, worker="another"))

        run.refresh_from_db()
        assert (run.state, run.rows, run.rejected_rows) == (RunState.SUCCEEDED, 2, 2)
        assert len(rejected.first_rows(run, limit=9)) == 2

    def test_loses_none_when_the_next_attempt_finds_nothing_new(self, table, folder, monkeypatch):
        extracted(table)
        (folder / "orders.csv").write_text("id,amount\n1,10\nanother\n4,40\n")
        run = ended_after(table, monkeypatch)

        with hold(runs.claim(run.pk, worker="another")) as holdings, transaction.atomic():
            finishing.stay(holdings)

        run.refresh_from_db()
        assert (run.version_number, run.rejected_rows) == (1, 1)
        assert [row.text for row in rejected.first_rows(run, limit=9)] == ["another"]

    def test_forgets_those_of_an_attempt_that_published_nothing(self, table, folder, monkeypatch):
        run = ended_after(table, monkeypatch, step="publish.rejected_kept")
        (folder / "orders.csv").write_text("id,amount\n1,10\n")

        extraction.execute(runs.claim(run.pk, worker="another"))

        run.refresh_from_db()
        assert (run.state, run.rows, run.rejected_rows) == (RunState.SUCCEEDED, 1, 0)
        assert not rejected.place_of(run.pk).exists()

    def test_leaves_nothing_when_every_row_is_good(self, table, folder, layout):
        (folder / "orders.csv").write_text("id,amount\n1,10\n")

        run = extracted(table)

        assert run.rejected_rows == 0
        assert not layout.quarantine.exists()


class TestApi:
    def test_tells_administrators_and_audits_the_download(self, table, admin_api):
        run = extracted(table)

        shown = admin_api.get(f"/api/runs/{run.pk}").json()
        listed = admin_api.get(f"/api/runs/{run.pk}/rejected?limit=1").json()
        sent = admin_api.get(f"/api/runs/{run.pk}/rejected/download")

        assert shown["rejected_rows"] == 2
        assert listed == [
            {
                "file": "orders.csv", "row": 3, "column": "", "text": "2",
                "reason": "there are fewer values than columns",
            }
        ]  # fmt: skip
        lines = b"".join(sent.streaming_content).splitlines()
        assert [json.loads(line)["row"] for line in lines] == [3, 4]
        assert sent["Content-Disposition"] == 'attachment; filename="orders-set-aside.ndjson"'
        assert AuditEvent.objects.filter(action="run.rejected_download").count() == 1

    @pytest.mark.parametrize("end", ["", "/download"])
    def test_is_closed_to_analysts(self, table, api, end):
        run = extracted(table)

        assert api.get(f"/api/runs/{run.pk}/rejected{end}").status_code == 403

    def test_says_when_there_are_none(self, table, admin_api):
        run = Run.objects.create(table=table, source=table.source, state=RunState.SUCCEEDED)

        answer = admin_api.get(f"/api/runs/{run.pk}/rejected")

        assert (answer.status_code, answer.json()["code"]) == (404, "rejected_rows_gone")


class TestPages:
    def test_show_the_rows_escaped(self, table, admin, client):
        run = extracted(table)
        client.force_login(admin)
        pages = [
            reverse("admin:extracts_run_change", args=[run.pk]),
            reverse("admin:catalog_table_change", args=[table.pk]),
        ]

        for page in map(client.get, pages):
            text = page.content.decode()
            assert "2 rows set aside" in text
            assert "the value is not a BIGINT" in text
            assert "3,&lt;script&gt;alert(1)&lt;/script&gt;" in text
            assert HOSTILE not in text
            assert f"/api/runs/{run.pk}/rejected/download" in text

    def test_of_a_table_forget_them_once_it_was_read_without_any(
        self, table, folder, admin, client
    ):
        page = reverse("admin:catalog_table_change", args=[table.pk])
        client.force_login(admin)
        first = extracted(table)
        Run.objects.create(
            table=table, source=table.source, state=RunState.SUCCEEDED, outcome=RunOutcome.UNREAD,
            version_number=first.version_number,
        )  # fmt: skip
        before = client.get(page).content.decode()
        (folder / "orders.csv").write_text("id,amount\n1,10\n4,40\n")

        clean = extracted(table)

        assert [first.outcome, clean.outcome] == [RunOutcome.NEW, RunOutcome.SAME]
        assert "2 rows set aside</h2>" in before
        assert "2 rows set aside</h2>" not in client.get(page).content.decode()

    def test_list_how_many_a_run_set_aside(self, table, admin, client):
        extracted(table)
        client.force_login(admin)

        page = client.get(reverse("admin:extracts_run_changelist")).content.decode()

        assert "2 rows set aside" in page

    def test_say_so_when_the_rows_are_not_kept_any_more(self, table, admin, client):
        run = extracted(table)
        rejected.place_of(run.pk).unlink()
        client.force_login(admin)

        page = client.get(reverse("admin:extracts_run_change", args=[run.pk])).content.decode()

        assert "2 rows set aside" in page
        assert "extract the table again" in page


class TestSweep:
    def test_removes_the_rows_of_a_run_that_is_gone(self, table, layout):
        run = extracted(table)
        Run.objects.filter(pk=run.pk).delete()

        rejected.sweep()

        assert list(layout.quarantine.iterdir()) == []

    def test_keeps_those_of_the_newest_runs(self, table):
        made = [
            Run.objects.create(table=table, source=table.source, state=RunState.SUCCEEDED)
            for _ in range(rejected.KEPT_RUNS + 1)
        ]
        for run in made:
            place = rejected.place_of(run.pk)
            place.parent.mkdir(exist_ok=True)
            place.write_text("{}\n")

        rejected.sweep()

        assert [rejected.place_of(run.pk).exists() for run in made] == [False] + [True] * 10
