"""HTTP to allowed hosts only: each connection is checked where it is made, each redirect anew."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from agnes_site.core.errors import InvalidInputError, UpstreamError
from catalog.connectors import Reach
from extracts.connectors.reach.hosts import (
    UrlRefusedError,
    check_address,
    check_listed,
    checked_url,
)

# Seconds to connect, and between two pieces of an answer.
_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 60
_MAX_REDIRECTS = 5

# Gives the headers that prove who asks, for one address; other hosts get none.
Sign = Callable[[str, Mapping[str, str]], Mapping[str, str]]


class HostUnreachableError(UpstreamError):
    """A host has no address, does not answer, or ends the connection."""

    code = "host_unreachable"
    hint = "Check the address, and whether this server may reach that host and port."


class CertificateRefusedError(InvalidInputError):
    """A server's certificate is not trusted, or is not that of the host."""

    code = "certificate_refused"
    hint = "Check the host name; for an authority of your own give its certificate as ca_file."


def no_sign(_url: str, _headers: Mapping[str, str]) -> Mapping[str, str]:
    """Ask as nobody."""
    return {}


class Web:
    """Fetches from the hosts that ``reach`` allows, by GET."""

    def __init__(self, reach: Reach, *, sign: Sign = no_sign, ca_file: Path | None = None) -> None:
        self._reach = reach
        self._sign = sign
        self._session = requests.Session()
        # Proxies, .netrc and certificates of the environment are not ours to use.
        self._session.trust_env = False
        self._session.verify = _usable(ca_file) if ca_file else True
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _CheckedAdapter(reach))

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Ask for ``url`` and return the answer with its body unread, redirects followed.

        Raises:
            HostNotAllowedError, UrlRefusedError: the address, or one redirected to.
            UpstreamError: the host cannot be reached, or redirects without end.
        """
        asked = {"Accept-Encoding": "identity", "User-Agent": "agnes", **(headers or {})}
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._ask(url, asked)
            if not answer.is_redirect:
                return answer
            with answer, reaching(urlsplit(url).hostname or ""):
                url = _redirected(url, answer.headers["Location"])
        raise UpstreamError(f"{urlsplit(url).hostname} redirects without end.")

    def _ask(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        pieces = checked_url(url)
        host = pieces.hostname or ""
        check_listed(host, pieces.port or _port(pieces.scheme), self._reach.hosts)
        with reaching(host):
            return self._session.get(
                url,
                headers={**headers, **self._sign(url, headers)},
                stream=True,
                allow_redirects=False,
                timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
            )


class reaching:  # noqa: N801  reads as what it does: with reaching(host)
    """Turn what goes wrong on the way to ``host`` into errors a person can act on."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        """Say what happened."""
        if isinstance(error, urllib3.exceptions.HTTPError):
            raise HostUnreachableError(f"{self._host} ended the connection.") from error
        if isinstance(error, requests.exceptions.SSLError):
            raise CertificateRefusedError(
                f"The certificate of {self._host} is not trusted."
            ) from error
        if isinstance(error, requests.exceptions.Timeout):
            raise HostUnreachableError(f"{self._host} did not answer in time.") from error
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            raise UrlRefusedError("The address is not written correctly.") from None
        if isinstance(error, requests.exceptions.RequestException):
            raise HostUnreachableError(f"{self._host} ended the connection.") from error
        if isinstance(error, ValueError):
            raise UrlRefusedError(f"{self._host} redirects to what is no address.") from None


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address."""
    pieces = checked_url(url)
    return pieces.scheme, (pieces.hostname or "").lower(), pieces.port or _port(pieces.scheme)


def _usable(ca_file: Path) -> str:
    """Return the path of a file that holds certificates."""
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # of the file, and of what it holds
        raise CertificateRefusedError(
            f"{ca_file.name} holds no certificate that can be read.",
            hint="Give a file of certificates in PEM that the server may read as ca_file.",
        ) from error
    return str(ca_file)


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise UrlRefusedError(
            f"{urlsplit(url).hostname} redirects away from https.",
            hint="Give the address that it redirects to, if that is right.",
        )
    return urlsplit(target)._replace(fragment="").geturl()


def _connected(reach: Reach, host: str, port: int) -> socket.socket:
    """Return a connection to the first address of ``host`` that is allowed and answers."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HostUnreachableError(f"There is no host named {host}.") from None
    for _, _, _, _, place in found:
        check_address(host.strip("[]"), ip_address(place[0]), port, reach.hosts)
    reason = ""
    for family, kind, protocol, _, place in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(place)
        except OSError as error:
            connection.close()
            reason = error.strerror or str(error)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise HostUnreachableError(f"{host}:{port} cannot be reached: {reason}.")


class _CheckedAdapter(HTTPAdapter):
    """Makes its connections by :func:`_connected`; a redirect's or rebound name's as well."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool whose connections are checked."""
        reach = self._reach

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(reach, self._dns_host, self.port)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(reach, self._dns_host, self.port)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager = PoolManager(num_pools=4, maxsize=2, block=False)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
