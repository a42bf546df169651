"""Servers that Agnes leans on go away and come back: it heals by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import requests

from tests.extracts.connectors import postgres_server
from tests.journeys.installation import Installation, free_port, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(os.environ.get("DATABASE_URL")), reason="these bring servers of their own"
    ),
]
ROWS = 20_000


def filled(installation: Installation, folder: Path) -> Installation:
    """Give an installation a source and a table, and start its pages."""
    company = folder / "company"
    company.mkdir()
    (company / "orders.csv").write_text("id\n" + "".join(f"{row}\n" for row in range(ROWS)))
    installation.start_web()
    installation.add_files_source("shop", company)
    installation.call(
        "POST", "/api/admin/register-table",
        {"name": "orders", "source": "shop", "source_table": "orders.csv"},
    )  # fmt: skip
    return installation


class TestPostgres:
    @pytest.fixture
    def server(self) -> Iterator[postgres_server.Server]:
        if not (postgres_server.PROGRAMS / "initdb").exists():
            pytest.skip("PostgreSQL's initdb is not installed")
        with postgres_server.running() as server:
            yield server

    @pytest.fixture
    def installation(self, server, tmp_path) -> Iterator[Installation]:
        made = Installation(
            tmp_path,
            DATABASE_URL=f"postgres://postgres@{quote(server.socket, safe='')}:{server.port}/shop",
        )
        yield filled(made, tmp_path)
        made.stop()

    def test_restarted_in_the_middle_of_a_publish_loses_nothing(self, installation, server):
        installation.start_worker(pool="solo")
        installation.start_beat()
        ours = server.connect("shop")
        # What stands in the way of the publish, and of nothing before it.
        ours.execute("BEGIN; LOCK TABLE catalog_tableversion IN EXCLUSIVE MODE")
        (run_id,) = installation.extract("orders")
        wait_until(lambda: _waits_for_a_lock(server), seconds=60)
        server.control("stop", "-m", "immediate")
        ours.close()

        away = requests.get(
            f"{installation.url}/api/catalog/tables", timeout=30,
            headers={"Authorization": f"Bearer {installation.token}"},
        )  # fmt: skip
        ready = requests.get(f"{installation.url}/api/ready", timeout=30)
        server.control("start")
        run = installation.finished(run_id)

        assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
        assert away.json()["hint"]
        assert ready.status_code == 503
        assert (run["state"], run["version"], run["rows"]) == ("succeeded", 1, ROWS)
        assert run["attempt"] == 2


def _waits_for_a_lock(server: postgres_server.Server) -> bool:
    with server.connect("shop") as look:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(look.execute(waiting).fetchone()[0])


@pytest.mark.hostile(50)
class TestRedis:
    @pytest.fixture
    def port(self) -> int:
        return free_port()

    @pytest.fixture
    def start_redis(self, port, tmp_path):
        started: list[subprocess.Popen[bytes]] = []

        def start() -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL,
            )  # fmt: skip
            started.append(process)
            wait_until(lambda: _answers(port), seconds=20)
            return process

        yield start
        for process in started:
            process.kill()
            process.wait()

    @pytest.fixture
    def server(self, start_redis):
        return start_redis()

    @pytest.fixture
    def installation(self, server, port, tmp_path) -> Iterator[Installation]:
        made = Installation(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}/0")
        yield filled(made, tmp_path)
        made.stop()

    # The worker did not come back within a minute once, on a busy machine.
    @pytest.mark.exhaustive
    def test_flushed_and_gone_takes_no_run_away(self, installation, server, start_redis, port):
        (run_id,) = installation.extract("orders")
        redis.Redis(port=port).flushall()
        installation.start_worker(pool="solo")
        installation.start_beat()
        flushed = installation.finished(run_id)

        server.send_signal(signal.SIGKILL)
        server.wait()
        (run_id,) = installation.extract("orders")
        page = requests.get(f"{installation.url}/accounts/login/", timeout=60)
        time.sleep(2)  # long enough for worker and beat to notice
        start_redis()
        gone = installation.finished(run_id)

        assert (flushed["state"], flushed["version"]) == ("succeeded", 1)
        assert page.status_code == 200
        assert (gone["state"], gone["rows"]) == ("succeeded", ROWS)


def _answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port, socket_timeout=1).ping())
    except redis.RedisError:
        return False
