"""The warm process from which the children that do risky work are forked.

It is started with a bare environment, imports once what the children need, runs a single
thread, and never reads what a caller sends: it receives the socket of a job and forks a child
that reads it. When the process that started it goes away, it ends, and its children with it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb

from agnes_site.core import failpoints
from agnes_site.core.errors import AgnesError, UpstreamError
from extracts.engine import failures
from extracts.engine.parent import end_with
from extracts.engine.scrubbing import Scrubber, ScrubbingFormatter

_CHUNK_BYTES = 1024 * 1024
# What of a result is meant for people.
_TEXTS = ("message", "details", "notes")


class Channel:
    """Messages as JSON, one a line, over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = bytearray()
        self._is_over = False

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.connection.sendall(json.dumps(message, default=str).encode() + b"\n")

    def wait(self, seconds: float) -> bool:
        """Take what arrives within ``seconds``; say whether :meth:`receive` returns at once.

        Half a message is kept and does not make anybody wait for its other half.
        """
        if self._has_message() or self._is_over:
            return True
        if not select.select([self.connection], [], [], seconds)[0]:
            return False
        self._take()
        return self._has_message() or self._is_over

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or ``None`` when the other side is gone."""
        while not self._has_message() and not self._is_over:
            self._take()
        if not self._has_message():
            return None
        line, _, rest = self._received.partition(b"\n")
        self._received = rest
        message: dict[str, Any] = json.loads(line)
        return message

    def _has_message(self) -> bool:
        return b"\n" in self._received

    def _take(self) -> None:
        try:
            taken = self.connection.recv(_CHUNK_BYTES)
        except ConnectionResetError:
            taken = b""
        self._received += taken
        self._is_over = not taken


def main(control_descriptor: int, preload: list[str]) -> None:
    """Fork a child for each job whose socket arrives, until the other side is gone."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    control = socket.socket(fileno=control_descriptor)
    for module in preload:
        import_module(module)
    # Importing DuckDB opens an instance with a thread; forking wants a single one.
    duckdb.default_connection().close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getpid()
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        if os.fork() == 0:
            control.close()
            _work(socket.socket(fileno=descriptors[0]), parent)
        os.close(descriptors[0])


def _work(connection: socket.socket, parent: int) -> None:
    """Do one job and end the process; nothing of the zygote is left to run after it."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end_with(parent)
        os.setsid()
        channel = Channel(connection)
        job = channel.receive()
        if job is not None:
            channel.send({"pid": os.getpid()})
            _confine(job)
            scrubber = _scrubber(job)
            for arguments in job["each"]:
                _answer(channel, job["function"], {**job["arguments"], **arguments}, scrubber)
            status = 0
    finally:
        logging.shutdown()
        os._exit(status)


def _scrubber(job: dict[str, Any]) -> Scrubber:
    """Return what masks the secrets of this job, in the log of this process from now on."""
    scrubber = Scrubber((job["arguments"].get("secrets") or {}).values())
    for handler in logging.getLogger().handlers:
        inner = handler.formatter or logging.Formatter()
        handler.setFormatter(ScrubbingFormatter(inner, scrubber))
    logging.captureWarnings(True)
    return scrubber


def _answer(channel: Channel, wanted: str, arguments: dict[str, Any], scrubber: Scrubber) -> None:
    def report(phase: str, *, done: int = 0, total: int | None = None, message: str = "") -> None:
        text = scrubber.text(message)
        channel.send({"phase": phase, "done": done, "total": total, "message": text})

    module, _, name = wanted.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    try:
        answer = {"result": _for_people(function(arguments, report), scrubber)}
    except Exception as error:  # noqa: BLE001  it goes no further than this process
        answer = {"error": scrubber.value(_as_json(failures.as_error(error)))}
    channel.send(answer)


def _for_people(result: Any, scrubber: Scrubber) -> Any:
    """Return ``result`` with the secrets masked in its texts; its data stays as it is."""
    if not isinstance(result, dict):
        return result
    masked = {name: scrubber.value(result[name]) for name in _TEXTS if name in result}
    return {**result, **masked}


def _as_json(error: AgnesError) -> dict[str, Any]:
    return {
        "code": error.code,
        "status": error.status,
        "message": error.message,
        "hint": error.hint,
        "details": error.details,
        "is_upstream": isinstance(error, UpstreamError),
        "retry_after": getattr(error, "retry_after", None),
    }


def _confine(job: dict[str, Any]) -> None:
    os.environ.clear()  # noqa: TID251 (the child's own, not a setting)
    os.environ.update(job["environ"])  # noqa: TID251 (the same)
    failpoint = job.get("failpoint") or {}
    once = failpoint.get("once")
    failpoints.arm(failpoint.get("name", ""), once=Path(once) if once else None)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + int(job["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
