"""A proxy that opens TLS with certificates of its own and looks inside, as some companies have."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

import trustme


@dataclass
class InspectingProxy:
    """Leads every tunnel to ``upstream``, under a certificate that its own CA has signed."""

    upstream: str
    ca: trustme.CA
    url: str = ""
    requests: list[bytes] = field(default_factory=list)

    def open(self, outside: socket.socket, host: str) -> None:
        """Speak for ``host``: what comes out of TLS goes to the server, and back."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(host).configure_cert(context)
        with context.wrap_socket(outside, server_side=True) as inside:
            parts = urlsplit(self.upstream)
            with socket.create_connection((parts.hostname, parts.port)) as server:
                back = threading.Thread(target=_hand_on, args=(server, inside), daemon=True)
                back.start()
                _hand_on(inside, server)
                back.join(10)


class _Handler(StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        self.server.proxy.requests.append(head)
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host = head.split(b" ")[1].rpartition(b":")[0].decode()
        self.server.proxy.open(self.connection, host)


class _Listener(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: InspectingProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate is part of the tests."""


@contextlib.contextmanager
def before(upstream: str, ca: trustme.CA) -> Iterator[InspectingProxy]:
    """Start such a proxy in front of a server that speaks plain HTTP."""
    listener = _Listener(("127.0.0.1", 0), _Handler)
    proxy = InspectingProxy(upstream, ca, url=f"http://127.0.0.1:{listener.server_address[1]}")
    listener.proxy = proxy
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
