"""HTTP as the client needs it: redirects that keep the token at home, streams."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from analyst_cli import environment
from analyst_cli.errors import TransportError

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 30
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Headers(Protocol):
    """Names without case, as the standard library and requests both have them."""

    def get(self, name: str, /) -> str | None:
        """Return the value of a header."""


class Response(Protocol):
    """An answer whose body is read by who wants it, and which must be closed."""

    status: int
    headers: Headers

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill ``buffer`` and return how many bytes came; 0 at the end."""

    def read(self, limit: int, /) -> bytes:
        """Return up to ``limit`` bytes of the body, all of a shorter one."""

    def close(self) -> None:
        """Give the connection back, or close it if something was left unread."""


class Sender(Protocol):
    """Sends one request without following redirects."""

    def send(self, url: str, headers: dict[str, str], body: bytes | None = None) -> Response:
        """Send a GET, or a POST of ``body``, and return the answer once its headers are there."""

    def close(self) -> None:
        """Close the connections."""


class CertificateError(TransportError):
    """The server's certificate is not trusted."""

    code = "certificate_error"
    hint = "If your company has its own CA, name its file in REQUESTS_CA_BUNDLE."

    def __init__(self, message: str, *, is_issuer_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_issuer_unknown = is_issuer_unknown


class RedirectError(TransportError):
    """The server sends the client somewhere it must not or cannot go."""

    code = "bad_redirect"
    hint = "Is this the address of the server itself? A proxy or login page may be in between."


class Session:
    """Connections of one thread. The token goes to the server it belongs to, and nowhere else."""

    def __init__(self) -> None:
        self._direct: Sender | None = None
        self._full: Sender | None = None
        self._only_full: set[str] = set()

    def get(
        self, url: str, *, token: str, headers: dict[str, str], may_leave: bool = False
    ) -> Response:
        """Send a GET and follow redirects.

        A redirect to another host is followed only when ``may_leave`` is set, for files whose
        content is verified, and then without the token.

        Raises:
            TransportError: there was no answer.
            RedirectError: it leads elsewhere, or in circles.
        """
        here = url
        for _ in range(_MAX_REDIRECTS + 1):
            at_home = is_same_server(url, here)
            if not at_home and not may_leave:
                raise RedirectError(
                    f"The server redirects to {urlsplit(here).netloc}; the token is not sent there."
                )
            credentials = {"Authorization": f"Bearer {token}"} if at_home else {}
            response = self._send(here, {**headers, **credentials})
            target = response.headers.get("Location") or ""
            if response.status not in _REDIRECTS or not target:
                return response
            response.close()
            here = urljoin(here, target)
            if urlsplit(here).scheme not in _DEFAULT_PORTS:
                raise RedirectError("The server redirects to something that is not http(s).")
        raise RedirectError("The server redirects too many times.")

    def post(self, url: str, *, token: str, headers: dict[str, str], body: bytes) -> Response:
        """Send a POST, which no redirect leads elsewhere.

        Raises:
            TransportError: there was no answer.
            RedirectError: it would lead elsewhere.
        """
        response = self._send(url, {**headers, "Authorization": f"Bearer {token}"}, body)
        if response.status in _REDIRECTS:
            response.close()
            raise RedirectError("The server redirects what is sent to it.")
        return response

    def close(self) -> None:
        """Close the connections."""
        for sender in (self._direct, self._full):
            if sender is not None:
                sender.close()

    def _send(self, url: str, headers: dict[str, str], body: bytes | None = None) -> Response:
        parts = urlsplit(url)
        if parts.netloc not in self._only_full and not _needs_requests(parts):
            try:
                return self._direct_sender().send(url, headers, body)
            except CertificateError as error:
                if not error.is_issuer_unknown:
                    raise
                # Some Python builds come without root certificates; requests brings its own.
                self._only_full.add(parts.netloc)
        return self._full_sender().send(url, headers, body)

    def _direct_sender(self) -> Sender:
        if self._direct is None:
            from analyst_cli.transport.direct import DirectSender

            self._direct = DirectSender()
        return self._direct

    def _full_sender(self) -> Sender:
        if self._full is None:
            from analyst_cli.transport.full import RequestsSender

            self._full = RequestsSender()
        return self._full


def is_same_server(first: str, second: str) -> bool:
    """Say whether a token for ``first`` may be sent to ``second``."""
    one, other = urlsplit(first), urlsplit(second)
    if one.hostname != other.hostname:
        return False
    ports = (_port(one.scheme, one.port), _port(other.scheme, other.port))
    is_upgrade = (one.scheme, other.scheme) == ("http", "https") and ports == (80, 443)
    return is_upgrade or (one.scheme == other.scheme and ports[0] == ports[1])


def _port(scheme: str, port: int | None) -> int | None:
    return port or _DEFAULT_PORTS.get(scheme)


def _needs_requests(parts: SplitResult) -> bool:
    if parts.scheme == "https" and environment.ca_bundle():
        return True
    return environment.has_proxy(scheme=parts.scheme, host=parts.hostname or "")
