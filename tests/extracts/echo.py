"""A PostgreSQL that lets nobody in, and repeats the password it was given."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SSL, _GSS = 80877103, 80877104
_CLEAR_TEXT = b"R" + struct.pack("!ii", 8, 3)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self._kind_of_start() in (_SSL, _GSS):
            self.wfile.write(b"N")
        self.wfile.write(_CLEAR_TEXT)
        self.rfile.read(1)
        password = self._rest().rstrip(b"\0")
        self.server.heard.append(password.decode())
        fields = [b"SFATAL", b"VFATAL", b"C28P01", b"Mno entry with " + password, b""]
        body = b"".join(field + b"\0" for field in fields)
        self.wfile.write(b"E" + struct.pack("!i", len(body) + 4) + body)

    def _kind_of_start(self) -> int:
        return struct.unpack("!i", self._rest()[:4])[0]

    def _rest(self) -> bytes:
        (length,) = struct.unpack("!i", self.rfile.read(4))
        return self.rfile.read(length - 4)


@contextmanager
def postgres() -> Iterator[tuple[int, list[str]]]:
    """Serve, and yield the port and the passwords that were heard."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.heard = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], server.heard
        finally:
            server.shutdown()
