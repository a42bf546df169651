"""Processes killed in the middle: nothing is lost, nothing is done twice, nobody helps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.journeys.installation import Installation, wait_until

pytestmark = pytest.mark.slow

ROWS = 50_000
LARGE = 2_000_000


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A server with one source of type files and one table; workers are started by the tests."""
    folder = tmp_path / "company"
    folder.mkdir()
    (folder / "orders.csv").write_text(
        "id,amount\n" + "".join(f"{number},{number * 7 % 1000}.50\n" for number in range(ROWS))
    )
    found = Installation(tmp_path)
    try:
        found.start_web()
        found.add_files_source("shop", folder)
        found.call(
            "POST", "/api/admin/register-table",
            {"name": "orders", "source": "shop", "source_table": "orders.csv"},
        )  # fmt: skip
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
    def test_in_the_middle_of_an_extract_another_worker_takes_over(self, installation, tmp_path):
        worker = installation.start_worker()
        installation.start_beat()
        run_id = _extract_something_large(installation, tmp_path)

        # The whole group goes, with the child that reads the source.
        installation.kill(worker)
        installation.start_worker()
        run = installation.finished(run_id)

        assert (run["state"], run["rows"], run["version"]) == ("succeeded", LARGE, 1)
        assert run["attempt"] == 2
        assert _views(installation) == [("orders", LARGE)]


class TestWorkerThatSleeps:
    def test_publishes_nothing_when_it_wakes_up_again(self, installation, tmp_path):
        sleeper = installation.start_worker()
        installation.start_beat()
        run_id = _extract_something_large(installation, tmp_path)

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


def _extract_something_large(installation: Installation, tmp_path: Path) -> str:
    """Ask for a run that takes seconds, and return its id when it reads its source."""
    large = tmp_path / "company" / "large.csv"
    duckdb.execute(
        f"COPY (SELECT range AS id, 'text ' || range AS text FROM range({LARGE})) TO '{large}'"
    )
    installation.call("PUT", "/api/admin/registry/orders", {"source_table": large.name})
    (run_id,) = installation.extract("orders")
    wait_until(
        lambda: installation.call("GET", f"/api/runs/{run_id}")["phase"] == "extract", seconds=30
    )
    return run_id
