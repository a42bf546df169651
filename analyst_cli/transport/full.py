"""The thorough way: requests, which knows proxies and private certificate authorities."""

from __future__ import annotations

import requests
import urllib3

from analyst_cli.errors import TransportError
from analyst_cli.transport import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    CertificateError,
    Headers,
    Response,
)

_BROKEN = (urllib3.exceptions.HTTPError, OSError)


class RequestsSender:
    """Sends requests as the environment says: proxies, CA bundles."""

    def __init__(self) -> None:
        self._session = requests.Session()
        # Without this, requests takes a password for the host from ~/.netrc instead of our token.
        self._session.auth = _unchanged

    def send(self, url: str, headers: dict[str, str], body: bytes | None = None) -> Response:
        """Send a GET, or a POST of ``body``, without following redirects.

        Raises:
            CertificateError: the certificate is not trusted.
            TransportError: there was no answer.
        """
        timeout = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        try:
            method = "GET" if body is None else "POST"
            answer = self._session.request(
                method, url, data=body, headers=headers, stream=True, allow_redirects=False,
                timeout=timeout,
            )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise CertificateError(f"The certificate of {url} is not trusted: {error}") from error
        except requests.RequestException as error:
            raise TransportError(f"Cannot reach {url}: {error}") from error
        return RequestsResponse(url, answer)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class RequestsResponse:
    """An answer of requests, read without decoding."""

    def __init__(self, url: str, answer: requests.Response) -> None:
        self.status = answer.status_code
        self.headers: Headers = answer.headers
        self._url, self._answer = url, answer

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill ``buffer`` and return how many bytes came; 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, limit: int, /) -> bytes:
        """Return up to ``limit`` bytes of the body."""
        try:
            data: bytes = self._answer.raw.read(limit, decode_content=False)
        except _BROKEN as error:
            raise TransportError(f"The connection to {self._url} broke: {error}") from error
        return data

    def close(self) -> None:
        """Give the connection back."""
        self._answer.close()


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
