"""A table that is removed in the moment in which its run begins or ends: nobody is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from django.db import connection
from structlog.testing import capture_logs

from catalog.models import Table
from catalog.services import registry
from extracts.models import Run
from extracts.services import bringing, extraction, runs
from extracts.services.runs import RunFinishedError, RunNotClaimedError
from tests.factories import SourceFactory, TableFactory
from tests.statements import after_statement

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="its writers wait for each other"),
    pytest.mark.hostile(51),
]

# How long who removes a table waits for the other, who may have locked a run.
_LONG_ENOUGH_SECONDS = 1


@pytest.fixture
def tables(layout, tmp_path, monkeypatch) -> list[Table]:
    """Two tables of one source."""
    monkeypatch.setattr(runs.current_app, "send_task", lambda *args, **kwargs: None)
    source = SourceFactory(config={"folder": str(tmp_path)})
    for name in ("customers", "orders"):
        (tmp_path / f"{name}.csv").write_text("id\n1\n2\n")
    return [TableFactory(name=name, source=source) for name in ("customers", "orders")]


@contextmanager
def _removed_meanwhile(table: Table) -> Iterator[Callable[[], None]]:
    """Remove a table while the block works on its runs; it says when it is to begin."""
    begin, is_locked, is_touched = Event(), Event(), Event()

    def let_the_other_come() -> None:
        is_locked.set()
        is_touched.wait(_LONG_ENOUGH_SECONDS)

    def remove() -> None:
        begin.wait()
        try:
            with after_statement('UPDATE "catalog_table"', let_the_other_come):
                registry.unregister_table(table=table, by=None)
        finally:
            connection.close()

    def let_it_begin() -> None:
        is_touched.clear()
        begin.set()
        is_locked.wait()

    with ThreadPoolExecutor(max_workers=1) as other:
        removed = other.submit(remove)
        try:
            with (
                after_statement('SELECT "extracts_run"', is_touched.set),
                after_statement('UPDATE "extracts_run"', is_touched.set),
            ):
                yield let_it_begin
        finally:
            begin.set()
        removed.result()


def test_claim(tables):
    run, _ = runs.request_run(table=tables[0], by=None)

    with _removed_meanwhile(tables[0]) as begin:
        begin()
        with pytest.raises(RunNotClaimedError):
            runs.claim(run.pk, worker="test")

    assert not Run.objects.filter(pk=run.pk).exists()


def test_claim_of_others_along(tables):
    asked = [runs.request_run(table=table, by=None)[0] for table in tables]
    claimed = runs.claim(asked[0].pk, worker="test")

    with _removed_meanwhile(tables[1]) as begin:
        begin()
        along = runs.claim_along(claimed)

    assert along == []
    assert [run.pk for run in Run.objects.all()] == [claimed.pk]


def test_cancellation(tables):
    run, _ = runs.request_run(table=tables[0], by=None)

    with _removed_meanwhile(tables[0]) as begin:
        begin()
        with pytest.raises(RunFinishedError):
            runs.cancel(run=run, by=None)


def test_end(tables, monkeypatch):
    run, _ = runs.request_run(table=tables[0], by=None)
    claimed = runs.claim(run.pk, worker="test")

    with _removed_meanwhile(tables[0]) as begin:
        # Between the commit of the version and that of the end of the run.
        monkeypatch.setattr(
            bringing, "failpoint", lambda name: name == "publish.staging_removed" and begin()
        )
        with capture_logs() as told:
            extraction.execute(claimed)

    assert not [entry for entry in told if entry["log_level"] == "error"]
    assert list(Table.objects.all()) == [tables[1]]
    assert not Run.objects.filter(pk=run.pk).exists()
