"""The thorough way: requests, which knows proxies and private certificate authorities."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from analyst_cli import environment
from analyst_cli.transport import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    CertificateError,
    Headers,
    Response,
)
from analyst_cli.transport.reasons import explain

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
            CertificateError: the certificate is not trusted, or the authority cannot be read.
            TransportError: there was no answer.
        """
        timeout = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme == "https":
            _check_bundle(environment.ca_bundle())
        try:
            method = "GET" if body is None else "POST"
            answer = self._session.request(
                method, url, data=body, headers=headers, stream=True, allow_redirects=False,
                timeout=timeout,
            )  # fmt: skip
        except requests.RequestException as error:
            raise explain(origin, error) from error
        return RequestsResponse(origin, answer)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class RequestsResponse:
    """An answer of requests, read without decoding."""

    def __init__(self, origin: str, answer: requests.Response) -> None:
        self.status = answer.status_code
        self.headers: Headers = answer.headers
        self._origin, self._answer = origin, answer

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
            raise explain(self._origin, error) from error
        return data

    def close(self) -> None:
        """Give the connection back."""
        self._answer.close()


@cache
def _check_bundle(path: str) -> None:
    """Raise if the authority that the environment names is no file of certificates."""
    try:
        if path and not Path(path).is_dir():
            ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names {path}, which is no file of certificates."
        ) from error


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
