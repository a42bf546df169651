"""Pulls while the server changes: each reader ends with one state, whole, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.journeys.installation import ROOT, Installation, wait_until
from tests.journeys.laptop import Laptop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TABLES = ("customers", "orders", "stock")
# Each row says how often its file was written, so that a mixture is seen.
ROWS = 2000
PREPARE = """
from access.models import User
from access.services import grants, groups, tokens
from catalog.models import Source
from catalog.services import registry, sources
source = sources.add_source(
    slug="shop", source_type="files", config={"folder": "%s"}, by=None)
group = groups.create_group(name="Sales", by=None)
kim = User.objects.create_user("kim@example.com", "correct horse")
groups.add_member(group=group, user=kim, by=None)
for name in %r:
    registry.register_table(source=source, name=name, source_table=name + ".csv", by=None)
    grants.grant(group=group, resource_type="table", resource_id=name, by=None)
print(tokens.create(user=kim, name="laptop", by=None).secret)
"""
FORGET = "from extracts.tasks import collect_garbage; collect_garbage()"
CLEAN_UP = """
import sys
from extracts.tasks import collect_garbage
print("ready", flush=True)
while not sys.stdin.readline().startswith("end"):
    collect_garbage()
    print("done", flush=True)
"""


def _write(folder: Path, table: str, *, writing: int) -> None:
    beside = folder / f".{table}"
    lines = "".join(f"{table} {number},{writing}\n" for number in range(ROWS))
    beside.write_text(f"id,writing\n{lines}")
    beside.rename(folder / f"{table}.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("company")


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation, folder: Path) -> Iterator[Installation]:
    """A server with three tables, and a worker."""
    found = Installation(
        tmp_path, like=migrated, AGNES_FILES_ROOTS=str(folder), AGNES_KEPT_VERSIONS="1",
        AGNES_KEPT_FILE_SECONDS="5",
    )  # fmt: skip
    try:
        for table in TABLES:
            _write(folder, table, writing=1)
        found.start_web()
        found.start_worker()
        yield found
    finally:
        found.stop()


@pytest.fixture
def laptop(installation: Installation, folder: Path, tmp_path: Path) -> Laptop:
    token = installation.manage("shell", "-v0", "-c", PREPARE % (folder, TABLES)).split()[-1]
    for run_id in installation.extract(*TABLES):
        assert installation.finished(run_id)["state"] == "succeeded"
    return Laptop(tmp_path / "laptop", token=token)


def _forward(target: str, *, before_download: Callable[[str], None]) -> ThreadingHTTPServer:
    """Pass requests on to ``target``; something may happen before each download."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/download" in self.path:
                before_download(self.path)
            given = {name: value for name, value in self.headers.items() if name != "Host"}
            answer = requests.get(f"{target}{self.path}", headers=given, timeout=30)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_pull_that_is_overtaken_by_changes_ends_with_one_of_their_states(
    installation, folder, laptop
):
    happens: list[Callable[[], object]] = []
    asked: list[str] = []

    def before_download(path: str) -> None:
        asked.append(path)
        # The first one is under way: the manifest of the pull is that of before.
        while len(asked) == 2 and happens:
            happens.pop()()

    middle = _forward(installation.url, before_download=before_download)
    server = f"http://127.0.0.1:{middle.server_address[1]}"

    def pulled() -> dict[str, list[tuple[int, int]]]:
        asked.clear()
        done = laptop.pull(server)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["errors"] == []
        assert not happens, "it did not happen"
        assert not list(laptop.folder.rglob("*.part"))
        return laptop.shown()

    def published(table: str, writing: int) -> None:
        _write(folder, table, writing=writing)
        (run_id,) = installation.extract(table)
        assert installation.finished(run_id)["state"] == "succeeded"
        installation.manage(
            "shell", "-v0", "-c", "from extracts import tasks; tasks.collect_garbage()"
        )

    # Another version is published, the last one forgotten, and a table called otherwise.
    happens.append(lambda: published("stock", 2))
    happens.append(
        lambda: installation.call(
            "PUT", "/api/admin/registry/orders", {"display_name": "What was sold"}
        )
    )
    assert pulled() == {"customers": [(1, ROWS)], "orders": [(1, ROWS)], "stock": [(2, ROWS)]}

    # All have changed; one is revoked while another is downloaded.
    for table in TABLES:
        published(table, 3)
    grant = next(
        each for each in installation.call("GET", "/api/admin/grants")
        if each["resource_id"] == "stock"
    )  # fmt: skip
    happens.append(lambda: installation.call("DELETE", f"/api/admin/grants/{grant['id']}"))
    assert pulled() == {"customers": [(3, ROWS)], "orders": [(3, ROWS)]}
    assert not list(laptop.folder.rglob("stock*"))

    # And one is unregistered.
    for table in TABLES[:2]:
        published(table, 4)
    happens.append(lambda: installation.call("DELETE", "/api/admin/registry/orders"))
    assert pulled() == {"customers": [(4, ROWS)]}
    middle.shutdown()


@contextmanager
def _again_and_again(do: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread for as long as the block runs."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            do()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(60)


@contextmanager
def _cleaner(installation: Installation) -> Iterator[Callable[[], object]]:
    """Start a process that forgets and removes what is not in service, when it is asked to."""
    cleaner = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v0", "-c", CLEAN_UP], cwd=ROOT,
        env={**installation.environment, "AGNES_KEPT_FILE_SECONDS": "1"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert cleaner.stdin is not None
    assert cleaner.stdout is not None
    lines, said = cleaner.stdin, cleaner.stdout

    def clean_up() -> None:
        print("go", file=lines, flush=True)
        assert said.readline() == "done\n"

    try:
        assert said.readline() == "ready\n"
        yield clean_up
    finally:
        cleaner.kill()
        cleaner.communicate()


def test_nothing_is_lost_while_it_is_published_pulled_and_cleaned_up(installation, folder, laptop):
    failures: list[str] = []
    seen: list[dict[str, list[tuple[int, int]]]] = []

    def pull() -> None:
        done = laptop.pull(installation.url)
        if done.returncode:
            failures.append(done.stdout + done.stderr)
        else:
            seen.append(laptop.shown())

    with _cleaner(installation) as clean_up:
        with _again_and_again(clean_up), _again_and_again(pull):
            for writing in range(2, 8):
                for table in TABLES:
                    _write(folder, table, writing=writing)
                for run_id in installation.extract(*TABLES):
                    assert installation.finished(run_id)["state"] == "succeeded"
        pull()
        # A file counts as unused once it has not been taken up for a while.
        wait_until(lambda: [clean_up(), len(_stored(installation)) == len(TABLES)][-1], seconds=30)

    assert failures == []
    # No table is ever a mixture of two writings, or cut off.
    assert {rows for shown in seen for ((_, rows),) in shown.values()} == {ROWS}
    assert seen[-1] == {table: [(7, ROWS)] for table in TABLES}
    # What is served is there: to the last byte, for somebody who has nothing.
    other = Laptop(laptop.folder.with_name("other"), token=laptop.environment["AGNES_TOKEN"])
    assert other.pull(installation.url).returncode == 0
    assert other.shown() == seen[-1]


def _stored(installation: Installation) -> list[Path]:
    return list((installation.data / "store").rglob("*.parquet"))
