"""A whole installation for a test: its own data, database and processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests
from celery import Celery

from agnes_site import celery  # noqa: F401 (it knows the queue in a folder)
from agnes_site.core.broker import redis_options
from agnes_site.core.storage import Layout
from tests import measured
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "ada@example.com", "a long password"


class Installation:
    """Starts and ends the processes of one installation, and speaks to it over HTTP.

    On PostgreSQL and Redis where `DATABASE_URL` and `REDIS_URL` are set, else embedded. It begins
    with the database and the keys of the one it is ``like``, whose processes are not running.
    """

    def __init__(
        self,
        folder: Path,
        *,
        with_admin: bool = True,
        like: Installation | None = None,
        python: str = sys.executable,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.python = python
        self.data = folder / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._database = ""
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATA_DIR": str(self.data),
            "CONFIG_DIR": str(folder),
            "AGNES_BIND": self.url.removeprefix("http://"),
            "AGNES_WEB_PROCESSES": "1",
            "AGNES_WORKER_PROCESSES": "1",
            "AGNES_RUN_LEASE_SECONDS": "2",
            "AGNES_RUN_SWEEP_SECONDS": "1",
            "AGNES_SCAN_SECONDS": "1",
            **measured.ENVIRONMENT,
            **self._servers(like),
            **settings,
        }
        if like is not None:
            shutil.copytree(like.data / "state", self.data / "state")
            self.token = like.token
            return
        self.manage("migrate", "--verbosity", "0")
        if with_admin:
            self.token = self.manage(
                "grant_admin", EMAIL, "--password-stdin", "--token", "test",
                given=f"{PASSWORD}\n",
            ).strip()  # fmt: skip

    def manage(self, *words: str, given: str = "", **settings: str) -> str:
        """Run `manage.py` and return what it printed."""
        done = self.run_manage(*words, given=given, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_manage(
        self, *words: str, given: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end, however that is."""
        return subprocess.run(
            [self.python, "manage.py", *words],
            cwd=ROOT, env={**self.environment, **settings}, input=given,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what the database answers, without starting anything."""
        if self._database:
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                return list(connection.execute(sql).fetchall())
        file = self.data / "state" / "agnes.sqlite3"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return list(connection.execute(sql).fetchall())

    def start_web(self, **settings: str) -> None:
        """Start the web server and wait until it answers."""
        self._start_web("web", self.url, **settings)

    def start_another_web(self) -> str:
        """Start one more web server on the same data, wait until it answers, return its address."""
        url = f"http://127.0.0.1:{free_port()}"
        self._start_web("web-2", url)
        return url

    def start_worker(self, *, pool: str = "prefork", **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker for runs and upkeep.

        With the pool "prefork" it survives the process that works; `manage.py up` takes "solo".
        """
        return self._start(
            "worker", self.python, "-m", "celery", "-A", "agnes_site", "worker", "--queues",
            "runs,upkeep", "--concurrency", "1", "--pool", pool, "--without-gossip",
            "--without-mingle", "--without-heartbeat",
            "--hostname", f"{uuid.uuid4().hex}@%h", **settings,
        )  # fmt: skip

    def start_beat(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start the clock that sweeps and scans."""
        return self._start(
            "beat", self.python, "-m", "celery", "-A", "agnes_site", "beat", "--pidfile", "",
            **settings,
        )  # fmt: skip

    def start_up(self) -> subprocess.Popen[bytes]:
        """Start everything as an operator does, and wait until it answers."""
        process = self._start("up", self.python, "manage.py", "up")
        wait_until(self.is_ready, seconds=120)
        return process

    @contextmanager
    def up(self) -> Iterator[None]:
        """Run everything as an operator does while the block runs, and end all of it."""
        try:
            process = self.start_up()
            yield
            # It ends what it started, each of which is in a session of its own.
            process.terminate()
            process.wait(timeout=120)
        finally:
            self.stop()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and all that it started, at once and without a warning."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End everything and remove the database."""
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)
        if self._database:
            admin = os.environ["DATABASE_URL"]
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE IF EXISTS "{self._database}" WITH (FORCE)')

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API as the administrator and return the answer."""
        response = requests.request(
            method, f"{self.url}{path}", json=body, timeout=30,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert response.ok, response.text
        return response.json() if response.content else None

    def sign_in(self) -> requests.Session:
        """Return a browser in which the administrator is signed in."""
        browser = requests.Session()
        address = f"{self.url}/accounts/login/"
        page = browser.get(address, timeout=30)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None, page.text
        typed = {"login": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token.group(1)}
        browser.post(address, typed, timeout=30, headers={"Referer": address})
        assert "sessionid" in browser.cookies
        return browser

    def extract(self, *tables: str) -> list[str]:
        """Ask for runs of these tables and return their ids."""
        asked = self.call("POST", "/api/sync/trigger", {"tables": list(tables)})
        return [run["id"] for run in asked["runs"]]

    def finished(self, run_id: str, *, seconds: float = 180) -> dict[str, Any]:
        """Wait until a run is over and return it."""

        def over() -> Any:
            run = self.call("GET", f"/api/runs/{run_id}")
            return run if run["state"] not in ("queued", "running") else None

        found: dict[str, Any] = wait_until(over, seconds=seconds)
        return found

    @property
    def layout(self) -> Layout:
        """The folders of the data and where things are in them."""
        return Layout(root=self.data, state=self.data / "state")

    def ring(self, task: str) -> None:
        """Put a task of the upkeep into the queue, as the clock does."""
        with Celery(set_as_current=False) as app:
            app.conf.update(self._queue())
            app.send_task(task, queue="upkeep")

    def add_files_source(self, slug: str, folder: Path) -> None:
        """Add a source of type `files`."""
        self.manage(
            "shell", "-c",
            "from catalog.services import sources; sources.add_source("
            f"slug={slug!r}, source_type='files', config={{'folder': {str(folder)!r}}}, by=None)",
        )  # fmt: skip

    def log(self, name: str) -> str:
        """Return what the processes of this name wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environment, **settings}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _start_web(self, name: str, url: str, **settings: str) -> None:
        self._start(
            name, self.python, "-m", "gunicorn", "agnes_site.wsgi:application", "--worker-class",
            "gthread", "--threads", "8", "--bind", url.removeprefix("http://"), **settings,
        )  # fmt: skip
        wait_until(lambda: self.is_ready(url), seconds=120)

    def is_ready(self, url: str = "") -> bool:
        """Say whether the web server answers."""
        try:
            return requests.get(f"{url or self.url}/api/ready", timeout=2).ok
        except requests.RequestException:
            return False

    def _queue(self) -> dict[str, Any]:
        if self._database:
            options = redis_options(prefix=self.environment["AGNES_QUEUE_PREFIX"])
            url = self.environment["REDIS_URL"]
        else:
            folder = str(self.layout.broker)
            options = {"data_folder_in": folder, "data_folder_out": folder}
            url = "folder://localhost"
        return {"broker_url": url, "broker_transport_options": options}

    def _servers(self, like: Installation | None) -> dict[str, str]:
        if not os.environ.get("DATABASE_URL"):
            return {}
        self._database = f"agnes_{uuid.uuid4().hex}"
        admin = os.environ["DATABASE_URL"]
        with psycopg.connect(admin, autocommit=True) as connection:
            template = f' TEMPLATE "{like._database}"' if like is not None else ""
            connection.execute(f'CREATE DATABASE "{self._database}"{template}')
        parts = urlsplit(admin)
        redis = urlsplit(os.environ["REDIS_URL"])
        return {
            "DATABASE_URL": urlunsplit(parts._replace(path=f"/{self._database}")),
            # Each installation has queues of its own in one Redis.
            "REDIS_URL": urlunsplit(redis),
            "AGNES_QUEUE_PREFIX": self._database,
        }


def wait_until(asked: Callable[[], Any], *, seconds: float) -> Any:
    """Return the first true answer, asked for ten times a second.

    Raises:
        TimeoutError: there was none in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = asked()
        if answer:
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"Not within {seconds} seconds.")
