"""A plain nginx that serves one folder, where nginx is installed."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.installation import wait_until
from tests.ports import free_port

_CONFIG = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def is_installed() -> bool:
    """Say whether there is an nginx to compare with."""
    return shutil.which("nginx") is not None


@contextmanager
def serving(root: Path, *, folder: Path) -> Iterator[str]:
    """Serve ``root`` while the block runs and yield its address; ``folder`` is for nginx itself."""
    folder.mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(folder=folder, port=port, root=root, user=getpass.getuser()),
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [str(shutil.which("nginx")), "-c", str(config), "-p", str(folder)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _listens(port), seconds=10)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
