"""The quick way: the standard library, one connection kept open per server."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from analyst_cli.transport import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    Headers,
    Response,
)
from analyst_cli.transport.reasons import explain

_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class DirectSender:
    """Sends requests without proxies."""

    def __init__(self) -> None:
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def send(self, url: str, headers: dict[str, str], body: bytes | None = None) -> Response:
        """Send a GET, or a POST of ``body``.

        A kept connection that the server has closed meanwhile is renewed once.

        Raises:
            CertificateError: the certificate is not trusted.
            TransportError: there was no answer.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        is_reused = origin in self._connections
        try:
            return self._exchange(origin, target, headers, body)
        except _STALE as error:
            if not is_reused:
                raise explain(origin, error) from error
        except (OSError, http.client.HTTPException) as error:
            raise explain(origin, error) from error
        try:
            return self._exchange(origin, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            raise explain(origin, error) from error

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _exchange(
        self, origin: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        connection = self._connections.pop(origin, None) or _connect(origin)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        self._connections[origin] = connection
        return DirectResponse(origin, connection, answer)


class DirectResponse:
    """An answer of the standard library."""

    def __init__(
        self,
        origin: str,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
    ) -> None:
        self.status = answer.status
        self.headers: Headers = answer.headers
        self._origin, self._connection, self._answer = origin, connection, answer

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill ``buffer`` and return how many bytes came; 0 at the end."""
        try:
            return self._answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise explain(self._origin, error) from error

    def read(self, limit: int, /) -> bytes:
        """Return up to ``limit`` bytes of the body."""
        try:
            return self._answer.read(limit)
        except (OSError, http.client.HTTPException) as error:
            raise explain(self._origin, error) from error

    def close(self) -> None:
        """Keep the connection if the body was read to its end, else close it."""
        if not self._answer.isclosed():
            self._connection.close()


def _connect(origin: str) -> http.client.HTTPConnection:
    parts = urlsplit(origin)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT_SECONDS)
    connection.connect()
    connection.sock.settimeout(READ_TIMEOUT_SECONDS)
    return connection
