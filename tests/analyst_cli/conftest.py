"""A server, a workspace, and `agnes` inside this process and outside of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from analyst_cli.main import root
from tests.analyst_cli import agnes_server
from tests.analyst_cli.agnes_server import TOKEN, AgnesServer

Agnes = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AgnesServer]:
    """A server with two tables: orders (3 rows) and customers (2 rows)."""
    folder = tmp_path / "server"
    folder.mkdir()
    agnes, listener = agnes_server.start(folder)
    agnes.publish("orders", "SELECT i AS id, i * 10 AS amount FROM range(3) t(i)")
    agnes.publish("customers", "SELECT i AS id, 'Ada' AS name FROM range(2) t(i)")
    yield agnes
    listener.shutdown()
    listener.server_close()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one and counts as a workspace."""
    folder = tmp_path / "work space's [1]" / "x=1"
    (folder / ".claude").mkdir(parents=True)
    (folder / ".claude" / "init-complete").write_text("{}")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of this test alone, and no other settings."""
    for name in [name for name in os.environ if name.startswith("AGNES_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "config"
    monkeypatch.setenv("AGNES_CONFIG_DIR", str(folder))
    return folder


@pytest.fixture
def signed_in(server: AgnesServer, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that lead to the server."""
    monkeypatch.setenv("AGNES_SERVER", server.url)
    monkeypatch.setenv("AGNES_TOKEN", TOKEN)


@pytest.fixture
def agnes(config: Path) -> Agnes:
    """Run a command in this process: ``agnes("pull", "--json")``."""

    def run(*args: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(root, args, input=stdin, prog_name="agnes")

    return run


@pytest.fixture
def spawn(config: Path) -> Iterator[Spawn]:
    """Start a command as a process: ``spawn("pull", AGNES_FAILPOINT="pull.locked")``."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *args: str, cwd: Path | None = None, limit_bytes: int = 0, **environment: str
    ) -> subprocess.Popen[str]:
        code = "from analyst_cli.main import main; main()"
        if limit_bytes:  # no file may become larger, as on a full disk
            limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))"
            code = f"import resource; {limit}; {code}"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *args], cwd=cwd, text=True,
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def rows(workspace: Path) -> Callable[[str], list[tuple]]:
    """Ask the local database as any program would: ``rows("FROM orders")``."""

    def ask(sql: str) -> list[tuple]:
        path = workspace / "user" / "duckdb" / "analytics.duckdb"
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.sql(sql).fetchall()

    return ask
