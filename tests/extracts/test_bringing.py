"""Tables of a source, brought by one worker together: each as if it were alone."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agnes_site.core import storage
from catalog.models import Incident, Source, Table
from catalog.services import registry, sources, versions
from extracts.engine import process
from extracts.models import Run, RunKind, RunState
from extracts.services import bringing, extraction, holding, publication, runs
from tests.factories import SourceFactory, TableFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch, layout):
    """There is no worker: these tests do the runs themselves."""
    monkeypatch.setattr(runs.current_app, "send_task", lambda *args, **kwargs: None)
    monkeypatch.setattr(bringing, "_PATIENCE_SECONDS", 600)


@pytest.fixture
def _at_leisure(monkeypatch):
    """However slow the machine is, what is brought is published at the end."""
    monkeypatch.setattr(bringing, "_WAITING_SECONDS", 600)
    monkeypatch.setattr(holding, "_PAUSE_SECONDS", 600)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    folder = tmp_path / "files"
    folder.mkdir()
    return sources.add_source(
        slug="shop", source_type="files", config={"folder": str(folder)}, by=None
    )


@pytest.fixture
def tables(source) -> dict[str, Table]:
    """Tables with a file each but for one that misses its own, in their order."""
    names = ("customers", "lost", "orders", "items")
    folder = Path(source.config["folder"])
    for name in names:
        if name != "lost":
            (folder / f"{name}.csv").write_text("id\n1\n2\n")
    return {
        name: registry.register_table(source=source, name=name, source_table=f"{name}.csv", by=None)
        for name in names
    }


def _ask(*tables: Table) -> list[Run]:
    return [runs.request_run(table=table, by=None)[0] for table in tables]


def _do(first: Run) -> None:
    """Do what a worker does that hears the bell of a run."""
    claimed = runs.claim(first.pk, worker="test")
    extraction.execute(claimed, *runs.claim_along(claimed))


def _statements(source: Source, *, tables: int) -> int:
    """Return how many statements it takes to bring that many new tables."""
    count = source.tables.count()
    names = [f"table_{number}" for number in range(count, count + tables)]
    for name in names:
        Path(source.config["folder"], f"{name}.csv").write_text(f"id\n{name}\n")
    return _statements_of(
        [
            registry.register_table(source=source, name=name, source_table=f"{name}.csv", by=None)
            for name in names
        ]
    )


def _statements_of(tables: Iterable[Table]) -> int:
    asked = _ask(*tables)
    with CaptureQueriesContext(connection) as statements:
        _do(asked[0])
    assert set(_states(asked)) == {RunState.SUCCEEDED}
    Run.objects.open().delete()
    return len(statements)


def _states(asked: list[Run]) -> list[str]:
    found = Run.objects.in_bulk([run.pk for run in asked])
    return [found[run.pk].state for run in asked]


class TestTogether:
    def test_are_brought_by_one_child_and_published(self, tables, monkeypatch):
        jobs = []
        monkeypatch.setattr(
            process,
            "connected_child",
            lambda connect=process.connected_child: (jobs.append(1), connect())[1],
        )
        sound = [table for name, table in tables.items() if name != "lost"]
        asked = _ask(*sound)

        _do(asked[0])

        assert _states(asked) == [RunState.SUCCEEDED] * 3
        assert Table.objects.published().count() == 3
        assert len(jobs) == 1
        (rebuild,) = Run.objects.open()
        assert rebuild.kind == RunKind.REBUILD

    def test_one_that_fails_has_its_incident_and_stops_no_other(self, tables):
        asked = _ask(*tables.values())

        _do(asked[0])

        assert _states(asked) == ["succeeded", "failed", "succeeded", "succeeded"]
        logs = Run.objects.filter(kind=RunKind.EXTRACT).values_list("log", flat=True)
        assert sorted("Published version 1" in log for log in logs) == [False, True, True, True]
        assert [incident.table for incident in Incident.objects.all()] == [tables["lost"]]

    def test_one_that_is_pinned_is_skipped(self, tables):
        Table.objects.filter(name="customers").update(is_pinned=True)
        asked = _ask(tables["customers"], tables["orders"])

        _do(asked[0])

        assert _states(asked) == ["skipped", "succeeded"]

    @pytest.mark.parametrize(("pause", "numbers"), [(-1, [1, 1, 1]), (600, [3])])
    def test_are_published_before_they_have_waited_long(self, tables, monkeypatch, pause, numbers):
        monkeypatch.setattr(bringing, "_WAITING_SECONDS", pause)
        published = []
        monkeypatch.setattr(
            publication,
            "publish_all",
            lambda new, publish=publication.publish_all: (published.append(len(new)), publish(new))[
                1
            ],
        )
        asked = _ask(*(table for name, table in tables.items() if name != "lost"))

        _do(asked[0])

        assert [number for number in published if number] == numbers
        assert _states(asked) == ["succeeded"] * 3

    @pytest.mark.parametrize("pause", [-1, 600])
    def test_one_that_was_taken_over_publishes_nothing(self, tables, monkeypatch, pause):
        # Whether all has been told of the run by then or nothing.
        monkeypatch.setattr(holding, "_PAUSE_SECONDS", pause)
        asked = _ask(tables["customers"], tables["orders"])
        claimed = runs.claim(asked[0].pk, worker="test")
        along = runs.claim_along(claimed)
        with transaction.atomic():
            versions.take_fencings([tables["orders"].pk])

        extraction.execute(claimed, *along)

        assert [table.name for table in Table.objects.published()] == ["customers"]

    def test_those_behind_a_slow_one_are_left_to_others(self, tables, monkeypatch):
        monkeypatch.setattr(bringing, "_PATIENCE_SECONDS", -1)
        asked = _ask(tables["customers"], tables["orders"], tables["items"])

        _do(asked[0])

        assert _states(asked) == ["succeeded", "queued", "queued"]
        for run in Run.objects.filter(state=RunState.QUEUED, kind=RunKind.EXTRACT):
            assert (run.attempt, run.worker, run.lease_until) == (0, "", None)
            _do(run)
        assert _states(asked) == ["succeeded"] * 3

    def test_one_whose_file_the_disk_refuses_keeps_no_other_back(self, tables, monkeypatch):
        sound = [table for name, table in tables.items() if name != "lost"]
        asked = _ask(*sound)

        def fsync(path: Path, really=storage.fsync_file) -> None:
            if path.suffix == ".parquet" and pq.read_metadata(path).num_rows == 3:
                raise OSError(errno.EIO, "Input/output error", str(path))
            really(path)

        monkeypatch.setattr(storage, "fsync_file", fsync)
        Path(sound[1].source.config["folder"], "orders.csv").write_text("id\n1\n2\n3\n")

        _do(asked[0])

        states = dict(zip([table.name for table in sound], _states(asked), strict=True))
        assert states == {"customers": "succeeded", "orders": "failed", "items": "succeeded"}
        assert not Table.objects.get(name="orders").versions.exists()

    def test_what_nobody_foresaw_fails_all_of_them_and_is_told_to_nobody(self, tables, monkeypatch):
        def stumble(self):
            raise RuntimeError("a canary")

        monkeypatch.setattr(bringing._Batch, "bring", stumble)
        asked = _ask(tables["customers"], tables["orders"])

        with pytest.raises(RuntimeError):
            _do(asked[0])

        assert _states(asked) == ["failed", "failed"]
        for run in Run.objects.filter(kind=RunKind.EXTRACT):
            assert run.error_code == "internal_error"
            assert "canary" not in run.error_message + run.log

    @pytest.mark.usefixtures("_at_leisure")
    def test_cost_the_database_no_more_when_they_are_many(self, source):
        assert _statements(source, tables=7) == _statements(source, tables=2)

    @pytest.mark.usefixtures("_at_leisure")
    def test_unchanged_ones_cost_the_database_no_more_when_they_are_many(self, source):
        _statements(source, tables=9)
        few = list(source.tables.all()[:2])

        assert _statements_of(source.tables.all()) == _statements_of(few)

    def test_one_of_several_parts_is_kept_as_one_file_too(self, source, layout):
        for number in (1, 2):
            Path(source.config["folder"], f"day-{number}.csv").write_text(f"id\n{number}\n")
        table = registry.register_table(
            source=source, name="days", source_table="day-*.csv",
            options={"part_per_file": True}, by=None,
        )  # fmt: skip

        _do(*_ask(table))

        version = Table.objects.get(pk=table.pk).current_version
        whole = pq.read_table(layout.stored(version.combined_sha256))
        assert version.parts.count() == 2
        assert sorted(whole["id"].to_pylist()) == [1, 2]

    def test_leave_nothing_in_the_staging_folder(self, tables, layout):
        asked = _ask(*tables.values())

        _do(asked[0])

        assert list(layout.tmp.iterdir()) == []


class TestSweepStaging:
    def test_removes_what_attempts_that_are_over_left_and_nothing_else(self, layout):
        first, waiting = _ask(*TableFactory.create_batch(2))
        running = runs.claim(first.pk, worker="test")
        kept = [bringing.staging(running).name, "short", f"{'x' * 36}-1-1"]
        over = [f"{running.pk}-{running.fencing}-0", f"{waiting.pk}-0-0", f"{uuid4()}-1-1"]
        for name in (*kept, *over):
            (layout.tmp / name).mkdir()
            (layout.tmp / name / "part.parquet").write_bytes(b"part")

        extraction.sweep_staging()

        assert {path.name for path in layout.tmp.iterdir()} == set(kept)


class TestClaimAlong:
    def test_takes_what_waits_of_the_same_source(self):
        source = SourceFactory(concurrency=1)
        first, second = _ask(*TableFactory.create_batch(2, source=source))
        _ask(TableFactory())
        claimed = runs.claim(first.pk, worker="a")

        (along,) = runs.claim_along(claimed)

        assert (along.pk, along.worker, along.attempt) == (second.pk, "a", 1)
        second.table.refresh_from_db()
        assert along.fencing == second.table.fencing == 1
        with pytest.raises(runs.RunNotClaimedError):
            runs.claim(second.pk, worker="b")

    def test_takes_no_more_places_of_the_source_than_one(self):
        source = SourceFactory(concurrency=2)
        asked = _ask(*TableFactory.create_batch(3, source=source))
        claimed = runs.claim(asked[0].pk, worker="a")
        runs.claim_along(claimed)
        (late,) = _ask(TableFactory(source=source))

        assert runs.claim(late.pk, worker="b").state == RunState.RUNNING

    def test_leaves_what_was_tried_before_alone(self):
        source = SourceFactory()
        first, tried = _ask(*TableFactory.create_batch(2, source=source))
        Run.objects.filter(pk=tried.pk).update(attempt=1)

        assert runs.claim_along(runs.claim(first.pk, worker="a")) == []
        assert runs.claim_along(runs.claim(tried.pk, worker="b")) == []

    def test_takes_the_rebuild_of_other_sources(self):
        first, second = (
            runs.request_run(source=SourceFactory(), kind=RunKind.REBUILD, by=None)[0]
            for _ in range(2)
        )

        along = runs.claim_along(runs.claim(first.pk, worker="a"))

        assert [run.pk for run in along] == [second.pk]
