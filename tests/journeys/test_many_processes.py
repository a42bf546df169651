"""Two web servers, two clocks and three workers on the same data: each thing is done once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
import redis
import requests

from tests.journeys.installation import Installation, wait_until
from tests.journeys.laptop import Laptop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.hostile(50, 55)]

TABLES = [f"table_{number:02}" for number in range(12)]
SCHEDULED = ["tick_a", "tick_b", "tick_c"]
ROWS, WRITINGS = 500, 5
PREPARE = f"""
from datetime import timedelta
from django.utils import timezone
from catalog.models import Source, Table
from catalog.services import registry, sources
source = sources.add_source(
    slug="shop", source_type="files", config={{"folder": "%s"}}, by=None)
Source.objects.update(concurrency=3)
for name in {TABLES + SCHEDULED!r}:
    schedule = "every 0m" if name.startswith("tick") else ""
    registry.register_table(
        source=source, name=name, source_table=name + ".csv", sync_schedule=schedule, by=None)
# Their first slot is there when the clocks begin.
Table.objects.update(registered_at=timezone.now() - timedelta(minutes=5))
"""
OPEN = "SELECT 1 FROM extracts_run WHERE state IN ('queued', 'running')"
RING_AGAIN = """
from celery import current_app
for run_id in %r * 3:
    current_app.send_task("extracts.tasks.execute_run", kwargs={"run_id": run_id}, queue="runs")
"""


def _write(folder: Path, *, writing: int) -> None:
    for table in TABLES:
        beside = folder / f".{table}"
        beside.write_text("id,writing\n" + f"{table},{writing}\n" * ROWS)
        beside.rename(folder / f"{table}.csv")


class Caller:
    """Speaks to one of the web servers as the administrator."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.seen: list[dict[str, tuple[int, str]]] = []
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def manifest(self) -> dict[str, Any]:
        """Return the tables of the manifest."""
        found = self._session.get(f"{self.url}/api/sync/manifest", timeout=30)
        found.raise_for_status()
        tables: dict[str, Any] = found.json()["tables"]
        return tables

    def poll(self) -> None:
        """Look at the manifest, in which no table may go back."""
        now = {name: (entry["version"], entry["sha256"]) for name, entry in self.manifest().items()}
        before = self.seen[-1] if self.seen else {}
        back = [name for name, (version, _) in before.items() if now[name][0] < version]
        assert not back, back
        self.seen.append(now)

    def extract(self) -> list[str]:
        """Ask for all tables and return the ids of the runs, of which none need be new."""
        answer = self._session.post(
            f"{self.url}/api/sync/trigger", json={"tables": TABLES}, timeout=60
        )
        assert answer.status_code in (200, 409), answer.text
        said = answer.json()
        found = said["runs"] if answer.ok else said["details"]["runs"]
        return [run["id"] for run in found]

    def download(self, table: str) -> bytes:
        """Return the file of a table."""
        answer = self._session.get(f"{self.url}/api/data/{table}/download", timeout=30)
        answer.raise_for_status()
        return answer.content


@contextmanager
def again_and_again(*work: Callable[[], object]) -> Iterator[list[str]]:
    """Do each thing in a thread of its own for as long as the block runs; gather what fails."""
    over, failures = threading.Event(), []

    def repeat(do: Callable[[], object]) -> None:
        while not over.is_set():
            try:
                do()
            except (AssertionError, requests.RequestException) as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=repeat, args=[do]) for do in work]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """A server with its tables; no worker and no clock runs yet."""
    found = Installation(
        tmp_path, like=migrated, AGNES_RUN_LEASE_SECONDS="60",
        SCHEDULER_TICK_SECONDS="1", AGNES_SCHEDULE_SPREAD_SECONDS="0",
    )  # fmt: skip
    folder = tmp_path / "company"
    folder.mkdir()
    _write(folder, writing=1)
    for name in SCHEDULED:
        (folder / f"{name}.csv").write_text("id,writing\n1,1\n")
    try:
        found.manage("shell", "-v0", "-c", PREPARE % folder)
        found.start_web()
        yield found
    finally:
        found.stop()


def test_each_run_and_each_slot_is_done_once_and_every_reader_sees_whole_states(
    installation, tmp_path
):
    callers = [
        Caller(url, installation.token)
        for url in (installation.url, installation.start_another_web())
    ]
    laptop = Laptop(tmp_path / "laptop", token=installation.token)
    pulled: list[dict[str, list[tuple[int, int]]]] = []

    def pull() -> None:
        done = laptop.pull(callers[len(pulled) % 2].url)
        assert done.returncode == 0, done.stderr
        pulled.append(laptop.shown())

    # Each task waits four times when the workers begin.
    known = set(callers[0].extract())
    installation.manage("shell", "-v0", "-c", RING_AGAIN % sorted(known))
    for _ in range(3):
        installation.start_worker(pool="solo")
    clocks = [installation.start_beat() for _ in range(2)]
    with again_and_again(*(caller.poll for caller in callers), pull) as failures:
        _wait(installation, known)
        for writing in range(2, WRITINGS + 1):
            _write(tmp_path / "company", writing=writing)
            with ThreadPoolExecutor(2) as people:
                asked = list(people.map(Caller.extract, callers))
            known |= {*asked[0], *asked[1]}
            _wait(installation, known)
        wait_until(lambda: _has_ticked(installation), seconds=60)
    for clock in clocks:
        installation.kill(clock)
    wait_until(lambda: not installation.rows(OPEN), seconds=60)
    pull()

    assert failures == []
    _check_runs(installation, known)
    _check_files(installation, callers)
    _check_faces(installation)
    # No table is ever a mixture of two writings, or cut off, and the last pull brings the last.
    rows_of = [shown[name] for shown in pulled for name in TABLES if name in shown]
    assert all(len(rows) == 1 and rows[0][1] == ROWS for rows in rows_of)
    assert {pulled[-1][name][0][0] for name in TABLES} == {WRITINGS}
    wait_until(lambda: _messages(installation) == 0, seconds=30)


def _has_ticked(installation: Installation) -> bool:
    ticked = installation.rows(
        "SELECT DISTINCT table_id FROM extracts_run WHERE due_at IS NOT NULL"
    )
    return len(ticked) == len(SCHEDULED)


def _wait(installation: Installation, run_ids: set[str]) -> None:
    for run_id in run_ids:
        assert installation.finished(run_id)["state"] == "succeeded"


def _check_runs(installation: Installation, known: set[str]) -> None:
    runs = installation.rows(
        "SELECT r.id, t.name, r.state, r.attempt, r.due_at FROM extracts_run r"
        " JOIN catalog_table t ON r.table_id = t.id WHERE r.kind = 'extract'"
    )
    assert {(state, attempt) for _, _, state, attempt, _ in runs} == {("succeeded", 1)}
    asked = {str(UUID(str(run_id))) for run_id, _, _, _, due_at in runs if due_at is None}
    assert asked == known
    # By schedule once in a minute, however often two clocks have rung for it.
    for table in SCHEDULED:
        slots = sorted(_time(due_at) for _, name, _, _, due_at in runs if name == table)
        assert slots
        assert all(later - slot >= timedelta(minutes=1) for slot, later in pairwise(slots))
    numbers = installation.rows(
        "SELECT t.name, count(*), min(v.number), max(v.number) FROM catalog_tableversion v"
        " JOIN catalog_table t ON v.table_id = t.id GROUP BY t.name"
    )
    assert sorted(numbers) == [
        *((name, WRITINGS, 1, WRITINGS) for name in TABLES),
        *((name, 1, 1, 1) for name in SCHEDULED),
    ]


def _time(found: datetime | str) -> datetime:
    return found if isinstance(found, datetime) else datetime.fromisoformat(found)


def _check_files(installation: Installation, callers: list[Caller]) -> None:
    published = set(
        installation.rows(
            "SELECT t.name, v.number, p.sha256 FROM catalog_tablepart p"
            " JOIN catalog_tableversion v ON p.version_id = v.id"
            " JOIN catalog_table t ON v.table_id = t.id"
        )
    )
    for caller in callers:
        said = {
            (name, version, sha256)
            for state in caller.seen
            for name, (version, sha256) in state.items()
        }
        assert said <= published
        assert caller.manifest() == callers[0].manifest()
        for name, entry in caller.manifest().items():
            assert hashlib.sha256(caller.download(name)).hexdigest() == entry["sha256"]
            assert entry["version"] == (WRITINGS if name in TABLES else 1)
    stored = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (installation.data / "store").rglob("*.parquet")
    }
    assert stored == {sha256: sha256 for _, _, sha256 in published}


def _check_faces(installation: Installation) -> None:
    extract = installation.data / "extracts" / "shop" / "extract.duckdb"
    for face in ((installation.data / "analytics" / "server.duckdb").resolve(), extract):
        with duckdb.connect(str(face), read_only=True) as connection:
            for name in TABLES:
                rows = connection.execute(f"SELECT DISTINCT writing FROM {name}").fetchall()
                assert (face.name, name, rows) == (face.name, name, [(WRITINGS,)])


def _messages(installation: Installation) -> int:
    """Return how many tasks wait in the queue of runs."""
    prefix = installation.environment.get("AGNES_QUEUE_PREFIX")
    if prefix is None:
        return len(list((installation.data / "state" / "broker").glob("*.runs.msg")))
    found: int = redis.Redis.from_url(installation.environment["REDIS_URL"]).llen(f"{prefix}runs")
    return found
