"""A Redis server of our own, for tests that take it away."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.journeys.installation import wait_until
from tests.ports import free_port


class Server:
    """Listens on a port that stays its own; what it held is gone when it was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", str(self.folder)], stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, seconds=20)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def send_signal(self, number: int) -> None:
        """Send it a signal, as one that stops it."""
        if self._process is not None:
            self._process.send_signal(number)

    def connect(self) -> redis.Redis:
        """Return a client of it."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def _answers(self) -> bool:
        try:
            return bool(self.connect().ping())
        except redis.RedisError:
            return False


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start a server that ends with the block."""
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
