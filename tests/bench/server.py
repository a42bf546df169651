"""An installation to be measured: its web server and worker as `manage.py up` starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from agnes_site.core import config, supervisor
from tests.bench.bench import WrongResultError
from tests.journeys.installation import ROOT, Installation, wait_until

# What the journeys set to be quick and small is left to its default here.
_DEFAULTS = dict.fromkeys(
    (
        "AGNES_WEB_PROCESSES", "AGNES_WORKER_PROCESSES", "AGNES_RUN_LEASE_SECONDS",
        "AGNES_RUN_SWEEP_SECONDS", "AGNES_SCAN_SECONDS",
    ),
    "",
)  # fmt: skip


class Server(Installation):
    """Runs what a figure is measured on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder, AGNES_FILES_ROOTS=str(folder.parent), **_DEFAULTS)

    def start_web(self) -> None:
        """Start the web server with the command of `manage.py up` and wait until it answers."""
        self._start("web", *self._program("web"))
        wait_until(self._is_ready, seconds=60)

    def start_worker(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker with the command of `manage.py up`."""
        return self._start("worker", *self._program("worker"), **settings)

    def start_workers(self) -> None:
        """Start as many workers as `manage.py up` does."""
        for _ in range(config.load(self.environment).config.worker_processes):
            self.start_worker()

    def ask(self, function: str, **arguments: object) -> Any:
        """Call ``function`` (``module:name``) in a process of this installation.

        Arguments and result travel as JSON.

        Raises:
            WrongResultError: the call failed.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.inside", function],
            cwd=ROOT, env=self.environment, input=json.dumps(arguments),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise WrongResultError(f"{function} failed: {done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def laptop(self, token: str, *, name: str = "laptop") -> Laptop:
        """Return the computer of somebody who reads from here."""
        return Laptop(self.folder / name, server=self.url, token=token)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/ready", timeout=10).ok
        except requests.RequestException:
            return False

    def _program(self, name: str) -> list[str]:
        return supervisor.programs(config.load(self.environment).config)[name]


class Laptop:
    """A workspace and the command `agnes` in it."""

    def __init__(self, folder: Path, *, server: str, token: str) -> None:
        self.workspace = folder / "workspace"
        self.workspace.mkdir(parents=True)
        self.agnes = str(Path(sys.executable).parent / "agnes")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "AGNES_CONFIG_DIR": str(folder / "config"),
            "AGNES_SERVER": server,
            "AGNES_TOKEN": token,
        }

    def run(self, *words: str) -> str:
        """Run `agnes` in the workspace and return what it printed to stdout.

        Raises:
            WrongResultError: it failed.
        """
        done = subprocess.run(
            [self.agnes, *words], cwd=self.workspace, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise WrongResultError(f"agnes {words[0]} failed: {done.stderr[-2000:]}")
        return done.stdout
