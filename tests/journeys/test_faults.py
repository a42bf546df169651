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


class TestWorkerKilled:
    @pytest.mark.parametrize(
        "failpoint",
        ["publish.stored", "publish.before_commit", "publish.committed"],
    )
    def test_in_the_middle_of_a_publish_another_one_completes_it(
        self, installation, tmp_path, failpoint
    ):
        marker = tmp_path / "killed"
        installation.start_worker(AGNES_FAILPOINT=failpoint, AGNES_FAILPOINT_ONCE=str(marker))
        installation.start_beat()

        (run_id,) = installation.extract("orders")
        run = installation.finished(run_id)

        assert marker.exists(), "the worker was not killed"
        assert (run["state"], run["version"], run["rows"]) == ("succeeded", 1, ROWS)
        assert run["attempt"] == 2
        assert _views(installation) == [("orders", ROWS)]
        assert len(_stored(installation)) == 1

    @pytest.mark.parametrize(
        "failpoint",
        [
            "regenerate.data_linked",
            "regenerate.extract_replaced",
            "rebuild.copied",
            "rebuild.written",
            "rebuild.switched",
        ],
    )
    def test_in_the_middle_of_a_rebuild_the_faces_are_right_afterwards(
        self, installation, tmp_path, failpoint
    ):
        marker = tmp_path / "killed"
        installation.start_worker(AGNES_FAILPOINT=failpoint, AGNES_FAILPOINT_ONCE=str(marker))
        installation.start_beat()

        (run_id,) = installation.extract("orders")
        assert installation.finished(run_id)["state"] == "succeeded"

        wait_until(marker.exists, seconds=30)
        assert _views(installation) == [("orders", ROWS)]
        extract = installation.data / "extracts" / "shop" / "extract.duckdb"
        wait_until(extract.exists, seconds=60)
        with duckdb.connect(str(extract), read_only=True) as connection:
            assert connection.execute("SELECT table_name, rows FROM _meta").fetchall() == [
                ("orders", ROWS)
            ]

    def test_in_the_middle_of_an_extract_another_worker_takes_over(self, installation, tmp_path):
        large = tmp_path / "company" / "large.csv"
        rows = 2_000_000
        duckdb.execute(
            f"COPY (SELECT range AS id, 'text ' || range AS text FROM range({rows})) TO '{large}'"
        )
        installation.call("PUT", "/api/admin/registry/orders", {"source_table": large.name})
        worker = installation.start_worker()
        installation.start_beat()
        (run_id,) = installation.extract("orders")
        wait_until(
            lambda: installation.call("GET", f"/api/runs/{run_id}")["phase"] == "extract",
            seconds=30,
        )

        # The whole group goes, with the child that reads the source.
        installation.kill(worker)
        installation.start_worker()
        run = installation.finished(run_id)

        assert (run["state"], run["rows"], run["version"]) == ("succeeded", rows, 1)
        assert run["attempt"] == 2
        assert _views(installation) == [("orders", rows)]


class TestWorkerOfAnEarlierTime:
    def test_publishes_nothing_when_it_wakes_up_again(self, installation, tmp_path):
        first = installation.start_worker(AGNES_FAILPOINT="", AGNES_RUN_LEASE_SECONDS="2")
        installation.start_beat()
        (run_id,) = installation.extract("orders")
        assert installation.finished(run_id)["state"] == "succeeded"
        source = tmp_path / "company" / "orders.csv"
        source.write_text("id,amount\n1,1.50\n")

        (run_id,) = installation.extract("orders")
        os.killpg(first.pid, signal.SIGSTOP)
        try:
            installation.start_worker()
            run = installation.finished(run_id)
        finally:
            os.killpg(first.pid, signal.SIGCONT)

        assert run["state"] == "succeeded"
        table = installation.call("GET", "/api/catalog/tables")["tables"][0]
        assert (table["version"], table["rows"]) == (2, 1)
