"""The demo's own web, worker and beat, under one supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from agnes_site.core import supervisor
from agnes_site.core.config import BASE_DIR, Config
from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import Layout


class ServerNotReadyError(AgnesError):
    """Web, worker and beat were started, and the server does not answer."""

    code = "demo_server_not_ready"


@contextmanager
def running(config: Config, layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """Run everything while the block runs, and stop all of it afterwards.

    Raises:
        PortTakenError: another program listens where the web server is to listen.
        ServerNotReadyError: the server does not answer within a minute.
    """
    supervisor.check_port(config.bind)
    logs = layout.root / "logs"
    logs.mkdir(exist_ok=True)
    path = supervisor.write_supervisord_config(config, layout, logs=logs)
    process = subprocess.Popen(
        [*supervisor.TETHERED, *supervisor.supervisord(path)],
        cwd=BASE_DIR,
        env={**os.environ, "DATA_DIR": str(layout.root)},  # noqa: TID251 (handed on as it is)
        stdin=subprocess.DEVNULL,
        stdout=(logs / "supervisor.log").open("wb"),
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches this process first, which then ends the others in order.
        start_new_session=True,
    )
    try:
        _wait_until_ready(config, process, logs)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(config: Config, process: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"http://{config.bind}/api/ready", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass  # not up yet
        time.sleep(0.1)
    raise ServerNotReadyError(
        "The server does not answer.",
        hint=f"Its logs are in {logs}: web.log or supervisor.log says why.",
    )
