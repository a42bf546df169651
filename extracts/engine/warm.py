"""The warm process of this one, from which its children are forked; started when it is needed."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class _Zygote:
    """A running zygote, usable only in the process that started it."""

    owner: int
    control: socket.socket
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, preload: Sequence[str]) -> _Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "extracts.engine.zygote", str(theirs.fileno()), *preload],
                cwd=ROOT,
                env=BARE_ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        return cls(owner=os.getpid(), control=ours, process=process)

    def is_usable(self) -> bool:
        return self.owner == os.getpid() and self.process.poll() is None

    def end(self) -> None:
        """Let the zygote notice that nobody needs it, unless it belongs to another process."""
        self.control.close()
        if self.owner == os.getpid():
            self.process.wait()

    def send(self, connection: socket.socket) -> None:
        socket.send_fds(self.control, [b"j"], [connection.fileno()])


# No secret and nothing of the caller's; the rest keeps the process to one thread and lean.
BARE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MALLOC_ARENA_MAX": "2",
    # Columns of a row group go back to the system when they are freed.
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
}
# What children share instead of importing it themselves, at each run.
PRELOAD = ("pyarrow.parquet", "extracts.connectors.preloaded")

_zygote: _Zygote | None = None
_starting = threading.Lock()


def connected_child() -> socket.socket:
    """Return a socket whose other end a new child holds."""
    global _zygote
    ours, theirs = socket.socketpair()
    with theirs, _starting:
        if _zygote is None or not _zygote.is_usable():
            _start()
        assert _zygote is not None
        try:
            _zygote.send(theirs)
        except OSError:
            _start()
            _zygote.send(theirs)
    return ours


def _start() -> None:
    global _zygote
    if _zygote is not None:
        _zygote.end()
    _zygote = _Zygote.start(PRELOAD)


@atexit.register
def _end() -> None:
    if _zygote is not None:
        _zygote.end()
