"""Servers that Agnes leans on go away and come back: it heals by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
from kombu import Connection, Consumer, Message, Queue

from agnes_site.core import broker
from tests.extracts.connectors import postgres_server
from tests.journeys import redis_server
from tests.journeys.installation import Installation, wait_until
from tests.journeys.shop import LARGE, extract_something_large, open_shop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        bool(os.environ.get("DATABASE_URL")), reason="these bring servers of their own"
    ),
]
ROWS = 20_000
PAGES = ["/", "/admin/", "/admin/catalog/table/", "/admin/extracts/run/", "/admin/search/?q=orders"]
PROGRAMS = [
    "/api/catalog/tables",
    "/api/sync/manifest",
    "/api/admin/sources",
    "/api/health/detailed",
]


def _asked(installation: Installation, path: str) -> requests.Response:
    return requests.get(
        f"{installation.url}{path}", timeout=60,
        headers={"Authorization": f"Bearer {installation.token}"},
    )  # fmt: skip


@pytest.mark.hostile(51)
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
        try:
            open_shop(made, rows=ROWS)
            yield made
        finally:
            made.stop()

    def test_restarted_in_the_middle_of_a_publish_loses_nothing(self, installation, server):
        installation.start_worker(pool="solo")
        installation.start_beat()
        browser = installation.sign_in()
        ours = server.connect("shop")
        # What stands in the way of the publish, and of nothing before it.
        ours.execute("BEGIN; LOCK TABLE catalog_tableversion IN EXCLUSIVE MODE")
        (run_id,) = installation.extract("orders")
        wait_until(lambda: _waits_for_a_lock(server), seconds=60)
        server.control("stop", "-m", "immediate")
        ours.close()

        programs = {path: _asked(installation, path) for path in PROGRAMS}
        pages = {path: browser.get(f"{installation.url}{path}", timeout=60) for path in PAGES}
        ready = requests.get(f"{installation.url}/api/ready", timeout=30)
        server.control("start")
        run = installation.finished(run_id)

        for path, away in programs.items():
            assert (path, away.status_code) == (path, 503)
            assert (path, away.json()["code"]) == (path, "database_unavailable")
            assert away.json()["message"]
            assert away.json()["hint"]
            assert int(away.headers["Retry-After"]) > 0
        for path, page in pages.items():
            assert (path, page.status_code) == (path, 503)
            assert "The database does not answer" in page.text
            assert "psycopg" not in page.text
            assert "Traceback" not in page.text
            assert int(page.headers["Retry-After"]) > 0
        assert ready.status_code == 503
        assert (run["state"], run["version"], run["rows"]) == ("succeeded", 1, ROWS)
        assert run["attempt"] == 2
        assert [
            browser.get(f"{installation.url}{path}", timeout=60).status_code for path in PAGES
        ] == [200 for _ in PAGES]


def _waits_for_a_lock(server: postgres_server.Server) -> bool:
    with server.connect("shop") as look:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(look.execute(waiting).fetchone()[0])


@pytest.mark.hostile(50)
class TestRedis:
    @pytest.fixture
    def server(self, tmp_path) -> Iterator[redis_server.Server]:
        with redis_server.running(tmp_path) as server:
            yield server

    @pytest.fixture
    def installation(self, server, tmp_path, migrated) -> Iterator[Installation]:
        made = Installation(tmp_path, like=migrated, REDIS_URL=server.url)
        try:
            open_shop(made, rows=ROWS)
            yield made
        finally:
            made.stop()

    def test_gone_before_it_hears_that_a_task_is_taken_keeps_nobody_waiting(self, server):
        options = broker.redis_options(prefix="test")
        queue = Queue("bells")
        with Connection(server.url, transport_options=options) as connection:
            connection.Producer().publish("ring", routing_key="bells", declare=[queue])
            taken: list[Message] = []
            with Consumer(connection, [queue], on_message=taken.append, prefetch_count=1) as worker:
                connection.drain_events(timeout=20)
                assert not worker.channel.qos.can_consume()
                server.kill()

                taken[0].ack()

                assert worker.channel.qos.can_consume()
                server.start()

    def test_flushed_and_gone_takes_no_run_away(self, installation, server):
        (run_id,) = installation.extract("orders")
        server.connect().flushall()
        installation.start_worker(pool="solo")
        installation.start_beat()
        flushed = installation.finished(run_id)

        browser = installation.sign_in()
        run_id = extract_something_large(installation)
        server.kill()
        in_the_middle = installation.finished(run_id)
        installation.call("PUT", "/api/admin/registry/orders", {"source_table": "orders.csv"})
        (run_id,) = installation.extract("orders")
        pages = {path: browser.get(f"{installation.url}{path}", timeout=60) for path in PAGES}
        server.start()
        gone = installation.finished(run_id)

        assert (flushed["state"], flushed["version"]) == ("succeeded", 1)
        assert (in_the_middle["state"], in_the_middle["rows"]) == ("succeeded", LARGE)
        assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(PAGES, 200)
        assert (gone["state"], gone["rows"]) == ("succeeded", ROWS)

    def test_that_hangs_holds_up_nobody_for_ever(self, installation, server):
        installation.start_worker(pool="solo")
        installation.start_beat()
        server.send_signal(signal.SIGSTOP)
        try:
            browser = installation.sign_in()
            pages = {path: browser.get(f"{installation.url}{path}", timeout=60) for path in PAGES}
            (run_id,) = installation.extract("orders")
        finally:
            server.send_signal(signal.SIGCONT)
        run = installation.finished(run_id)

        assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(PAGES, 200)
        assert (run["state"], run["rows"]) == ("succeeded", ROWS)
