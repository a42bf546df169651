"""Which hosts of the network a source may speak to, asked for the address that is connected to.

A listed name is allowed while it leads to public addresses; private ones count only where they
are listed themselves, so that no name can lead into the own network by surprise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

from agnes_site.core.errors import InvalidInputError

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Addresses of IPv4 in the clothes of IPv6: translated, tunnelled, compatible.
_DISGUISES = (
    ip_network("64:ff9b::/96"),
    ip_network("64:ff9b:1::/48"),
    ip_network("2002::/16"),
    ip_network("2001::/32"),
    ip_network("::/96"),
    ip_network("fec0::/10"),
)


class HostNotAllowedError(InvalidInputError):
    """A host, or the address that its name leads to, is none that sources may speak to."""

    code = "host_not_allowed"
    hint = "Add the host to AGNES_FILES_HOSTS (files.hosts) and restart the server."


class UrlRefusedError(InvalidInputError):
    """An address of the web cannot be used as it is written."""

    code = "url_refused"
    hint = "Write it as https://host/path; names and passwords have fields of their own."


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One entry of the list of hosts: a pattern of names, or a network; any port if ``None``."""

    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None


def checked_url(url: str) -> SplitResult:
    """Return the pieces of an http(s) address that has one meaning only.

    Raises:
        UrlRefusedError: it has another scheme, a name or password, or an unclear host.
    """
    try:
        pieces = urlsplit(url)
        port, host = pieces.port, pieces.hostname or ""
    except ValueError:
        raise UrlRefusedError("The address is not written correctly.") from None
    if pieces.scheme not in ("http", "https"):
        raise UrlRefusedError(f"Addresses of the scheme {pieces.scheme!r} are not fetched.")
    if "@" in pieces.netloc:
        raise UrlRefusedError("The address holds a name or password.")
    if any(sign.isspace() or not sign.isprintable() or sign == "\\" for sign in url) or port == 0:
        raise UrlRefusedError("The address is not written correctly.")
    canonical_host(host)
    return pieces


def canonical_host(host: str) -> str:
    """Return ``host`` in lower case and ASCII; an address has one spelling only.

    Raises:
        UrlRefusedError: it is neither a name nor an address in its usual form.
    """
    try:
        return str(ip_address(host)) if "%" not in host else _refuse(host)
    except ValueError:
        pass  # no address: a name, or what is to look like one
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return _refuse(host)
    # What ends in a number would be read as an address by some, in forms such as 0177.1.
    if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _refuse(host)
    return name


def check_listed(host: str, port: int, listed: Sequence[str]) -> None:
    """Refuse a host that cannot be allowed by any address, before its name is looked up.

    Raises:
        HostNotAllowedError: nothing in the list could allow it.
    """
    name = canonical_host(host)
    rules = [_rule(text) for text in listed]
    if _is_address(name):
        check_address(host, ip_address(name), port, listed)
    elif not any(_names(rule, name, port) or rule.network for rule in rules):
        raise HostNotAllowedError(
            f"{name} is not among the hosts that sources may fetch from.",
            hint=f"Add {name} to AGNES_FILES_HOSTS (files.hosts) and restart the server.",
        )


def check_address(host: str, address: Address, port: int, listed: Sequence[str]) -> None:
    """Refuse to connect to ``address`` for ``host`` unless both are allowed together.

    Raises:
        HostNotAllowedError: the address is private and not listed, or the name is not listed.
    """
    name, real = canonical_host(host), _plain(address)
    rules = [_rule(text) for text in listed]
    if real.is_link_local or real.is_multicast or real.is_unspecified:
        raise HostNotAllowedError(
            f"{name} leads to {real}, which is no address of a server.",
            hint="Give another host; such addresses are never fetched from.",
        )
    if any(_covers(rule, real, port) for rule in rules):
        return
    if not any(_names(rule, name, port) for rule in rules):
        raise HostNotAllowedError(
            f"{name} is not among the hosts that sources may fetch from.",
            hint=f"Add {name} to AGNES_FILES_HOSTS (files.hosts) and restart the server.",
        )
    if not _is_public(real):
        raise HostNotAllowedError(
            f"{name} leads to {real}, a private address.",
            hint=f"If that is right, add {real} to AGNES_FILES_HOSTS (files.hosts) as well and "
            "restart the server.",
        )


def _refuse(host: str) -> str:
    raise UrlRefusedError(f"{host!r} is no host that can be fetched from.")


def _rule(text: str) -> _Rule:
    host, port = text.strip().lower(), None
    if match := re.fullmatch(r"\[(.+)\](?::([0-9]+))?|([^:]+):([0-9]+)", host):
        host = match[1] or match[3]
        number = match[2] or match[4]
        port = int(number) if number else None
    try:
        return _Rule(network=ip_network(host, strict=False), port=port)
    except ValueError:
        pass  # no network: a name
    try:
        return _Rule(name=host.rstrip(".").encode("idna").decode("ascii"), port=port)
    except UnicodeError:
        return _Rule(name=host, port=port)


def _names(rule: _Rule, name: str, port: int) -> bool:
    is_port = rule.port is None or rule.port == port
    return is_port and rule.network is None and fnmatchcase(name, rule.name)


def _covers(rule: _Rule, address: Address, port: int) -> bool:
    is_port = rule.port is None or rule.port == port
    return is_port and rule.network is not None and address in rule.network


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_public(address: Address) -> bool:
    return address.is_global and not any(address in network for network in _DISGUISES)
