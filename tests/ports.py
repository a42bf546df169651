"""Ports for the servers that tests start."""

from __future__ import annotations

import os
import random
import socket

# Below those that Linux gives to whoever asks for any: between the choice and the start of the
# server nobody else gets one. Each process of pytest has its own thousand.
_FIRST, _EACH, _PROCESSES = 20_000, 1_000, 10


def free_port() -> int:
    """Return a port of this machine that nobody listens on.

    Raises:
        OSError: there is none left.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
    first = _FIRST + process * _EACH
    for port in random.sample(range(first, first + _EACH), _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"No port from {first} on is free.")
