"""Processes killed in the middle: nothing is lost, nothing is done twice, nobody helps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.journeys.installation import Installation, wait_until
from tests.journeys.shop import LARGE, extract_something_large, open_shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 50_000


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """A server with one source of type files and one table; workers are started by the tests."""
    found = Installation(tmp_path, like=migrated)
    try:
        open_shop(found, rows=ROWS)
        yield found
    finally:
        found.stop()


def _views(installation: Installation) -> list[tuple[str, int]]:
    """What the analytics file shows, once it shows anything."""
    link = installation.data / "analytics" / "server.duckdb"

    def shown() -> list[tuple[str, int]] | None:
        if not link.is_symlink():
            return None
        with duckdb.connect(str(link.resolve()), read_only=True) as connection:
            if not connection.execute("SHOW TABLES").fetchall():
                return None
            return [("orders", connection.execute("SELECT count(*) FROM orders").fetchone()[0])]

    found: list[tuple[str, int]] = wait_until(shown, seconds=60)
    return found


def _stored(installation: Installation) -> list[str]:
    return sorted(path.name for path in (installation.data / "store").rglob("*.parquet"))


@pytest.mark.hostile(50)
class TestWorkerKilled:
    def test_in_the_middle_of_an_extract_another_worker_takes_over(self, installation):
        worker = installation.start_worker()
        installation.start_beat()
        run_id = extract_something_large(installation)

        # The whole group goes, with the child that reads the source.
        installation.kill(worker)
        installation.start_worker()
        run = installation.finished(run_id)

        assert (run["state"], run["rows"], run["version"]) == ("succeeded", LARGE, 1)
        assert run["attempt"] == 2
        assert _views(installation) == [("orders", LARGE)]


@pytest.mark.hostile(50)
class TestWorkerThatSleeps:
    def test_publishes_nothing_when_it_wakes_up_again(self, installation):
        sleeper = installation.start_worker()
        installation.start_beat()
        run_id = extract_something_large(installation)

        os.killpg(sleeper.pid, signal.SIGSTOP)
        try:
            other = installation.start_worker()
            run = installation.finished(run_id)
        finally:
            os.killpg(sleeper.pid, signal.SIGCONT)
        installation.kill(other)

        assert (run["state"], run["version"], run["attempt"]) == ("succeeded", 1, 2)
        # The sleeper is the only worker now: it answers, and has published nothing of its own.
        (run_id,) = installation.extract("orders")
        assert installation.finished(run_id)["version"] == 1
        assert len(_stored(installation)) == 1
