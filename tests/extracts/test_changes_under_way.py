"""A table or its source changed, rolled back or removed while a run is in the middle of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from catalog.models import Incident, Source, Table
from catalog.services import registry, removal, sources, versions
from extracts.engine import process
from extracts.models import Run, RunKind, RunState
from extracts.services import bringing, extraction, runs
from extracts.services.holding import Holding

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch, layout):
    """There is no worker: these tests do the runs themselves."""
    monkeypatch.setattr(runs.current_app, "send_task", lambda *args, **kwargs: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "here"
    found.mkdir()
    (found / "orders.csv").write_text("id\n1\n")
    (found / "others.csv").write_text("id\n7\n8\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.csv").write_text("id\n3\n4\n5\n")
    return found


@pytest.fixture
def source(folder) -> Source:
    return sources.add_source(
        slug="shop", source_type="files", config={"folder": str(folder)}, by=None
    )


@pytest.fixture
def table(source) -> Table:
    return registry.register_table(source=source, name="orders", source_table="orders.csv", by=None)


@pytest.fixture
def meanwhile(monkeypatch) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Let something happen when the child of the next run has read its source, and only then."""
    happens: list[Callable[[], object]] = []
    real = process.run_each

    def run_each(job, each, **options):
        for outcome in real(job, each, **options):
            while happens:
                happens.pop()()
            yield outcome

    monkeypatch.setattr(process, "run_each", run_each)
    yield happens.append
    assert not happens, "it did not happen"


def _do(run: Run) -> Run:
    extraction.execute(runs.claim(run.pk, worker="test"))
    return run


def _ask(table: Table) -> Run:
    return runs.request_run(table=table, by=None)[0]


def _published(table: Table) -> list[int]:
    return list(table.versions.order_by("number").values_list("rows", flat=True))


class TestRunOfATable:
    @pytest.mark.parametrize(
        ("change", "rows"),
        [
            (lambda table, there: registry.update_table(
                table=table, by=None, source_table="others.csv"), 2),
            (lambda table, there: sources.change_source(
                source=table.source, by=None, config={"folder": str(there)}), 3),
        ],
        ids=["to another file", "to another folder"],
    )  # fmt: skip
    @pytest.mark.parametrize("is_first", [True, False])
    def test_that_is_pointed_elsewhere_begins_again_there(
        self, table, folder, meanwhile, change, rows, is_first
    ):
        if not is_first:
            _do(_ask(table))
        meanwhile(lambda: change(table, folder.parent / "elsewhere"))
        run = _do(_ask(table))

        run.refresh_from_db()
        assert (run.state, run.attempt) == (RunState.QUEUED, 0)
        assert _published(table) == [] if is_first else [1]
        _do(run)
        run.refresh_from_db()
        assert (run.state, run.rows) == (RunState.SUCCEEDED, rows)
        assert _published(table) == ([rows] if is_first else [1, rows])

    def test_that_its_heartbeat_finds_pointed_elsewhere_begins_again_at_once(
        self, table, meanwhile
    ):
        holding = Holding(runs.claim(_ask(table).pk, worker="test"))

        def change() -> None:
            registry.update_table(table=table, by=None, source_table="others.csv")
            assert not holding.beat()

        meanwhile(change)
        bringing.bring_tables([holding])

        holding.run.refresh_from_db()
        assert (holding.run.state, holding.run.attempt) == (RunState.QUEUED, 0)
        assert _published(table) == []

    @pytest.mark.parametrize(
        "fields", [{"display_name": "Sold"}, {"server_only": True}, {"is_paused": True}]
    )
    def test_that_is_only_called_or_shown_otherwise_goes_on(self, table, meanwhile, fields):
        meanwhile(lambda: registry.update_table(table=table, by=None, **fields))
        run = _do(_ask(table))

        run.refresh_from_db()
        assert (run.state, _published(table)) == (RunState.SUCCEEDED, [1])

    @pytest.mark.hostile(55)
    def test_that_is_rolled_back_leaves_it_alone(self, table, folder, meanwhile):
        _do(_ask(table))
        (folder / "orders.csv").write_text("id\n1\n2\n")
        _do(_ask(table))
        (folder / "orders.csv").write_text("id\n1\n2\n3\n4\n")

        meanwhile(lambda: versions.roll_back(table=table, number=1, by=None))
        run = _do(_ask(table))
        _do(run)

        run.refresh_from_db()
        assert (run.state, run.error_code) == (RunState.SKIPPED, "table_pinned")
        assert _published(table) == [1, 2, 1]

    def test_that_was_mended_is_not_blamed_for_what_it_was(self, table, meanwhile):
        registry.update_table(table=table, by=None, source_table="missing.csv")
        meanwhile(lambda: registry.update_table(table=table, by=None, source_table="orders.csv"))
        run = _do(_ask(table))

        assert not Incident.objects.exists()
        _do(run)
        run.refresh_from_db()
        assert (run.state, _published(table)) == (RunState.SUCCEEDED, [1])

    @pytest.mark.parametrize("source_table", ["orders.csv", "missing.csv"])
    @pytest.mark.parametrize(
        "remove",
        [
            lambda table: registry.unregister_table(table=table, by=None),
            lambda table: removal.remove_source(source=table.source, by=None, with_tables=True),
        ],
        ids=["alone", "with its source"],
    )
    def test_that_is_removed_ends_without_a_trace(
        self, table, layout, meanwhile, source_table, remove
    ):
        registry.update_table(table=table, by=None, source_table=source_table)
        meanwhile(lambda: remove(table))
        _do(_ask(table))

        assert not Run.objects.filter(kind=RunKind.EXTRACT).exists()
        assert not Incident.objects.exists()
        assert not list(layout.tmp.iterdir())

    def test_that_is_removed_and_registered_again_does_not_publish_into_the_new_one(
        self, table, source, meanwhile
    ):
        def replace() -> None:
            registry.unregister_table(table=table, by=None)
            registry.register_table(
                source=source, name="orders", source_table="others.csv", by=None
            )

        meanwhile(replace)
        _do(_ask(table))
        new = Table.objects.get(name="orders")
        assert _published(new) == []

        _do(_ask(new))
        assert _published(new) == [2]


class TestIncrementalTable:
    @pytest.mark.parametrize(
        ("other", "rows"), [({"path": "second.db"}, [2, 1]), ({"busy_timeout_seconds": 3}, [2, 3])]
    )
    def test_takes_over_what_was_read_from_the_same_database_only(self, tmp_path, other, rows):
        _write(tmp_path / "first.db", "(1, '2026-01-01'), (2, '2026-01-02')")
        _write(tmp_path / "second.db", "(3, '2026-01-03')")
        config = {"path": str(tmp_path / "first.db")}
        source = sources.add_source(slug="app", source_type="sqlite", config=config, by=None)
        table = registry.register_table(
            source=source, name="events", source_table="events", by=None,
            sync_strategy="incremental", primary_key=["id"], incremental_column="at",
        )  # fmt: skip
        _do(_ask(table))

        if "path" in other:
            other = {"path": str(tmp_path / other["path"])}
        else:
            # What the source forgets is kept, since only changes are read.
            _write(tmp_path / "first.db", "(3, '2026-01-03')")
        sources.change_source(source=source, by=None, config={**config, **other})
        _do(_ask(table))

        assert _published(table) == rows


def _write(path: Path, events: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP TABLE IF EXISTS events;"
            "CREATE TABLE events (id INTEGER PRIMARY KEY, at TIMESTAMP);"
            f"INSERT INTO events VALUES {events}"
        )
