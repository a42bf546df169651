"""Why there was no answer, in our words, whichever library found out."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

from analyst_cli.errors import TransportError
from analyst_cli.transport import CertificateError

# What OpenSSL calls a chain whose end nobody vouches for.
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)


def explain(origin: str, error: Exception) -> TransportError:
    """Return what to tell of an exchange with ``origin`` that failed."""
    found = list(_behind(error))
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateError(
                f"The certificate of {origin} is not trusted: {cause.verify_message}.",
                is_issuer_unknown=cause.verify_code in _UNKNOWN_ISSUER,
            )
    reason = next(filter(None, map(_reason, reversed(found))), "")
    if any(type(cause).__name__ == "ProxyError" for cause in found):
        return TransportError(
            f"Cannot reach {origin} through the proxy: {reason or 'it refused'}.",
            hint="Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and that the proxy runs.",
        )
    if any(_is_late(cause) for cause in found):
        return TransportError(f"{origin} did not answer in time.")
    return TransportError(f"Cannot reach {origin}: {reason or 'the connection broke'}.")


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it; urllib3 keeps them in arguments and `reason`."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _is_late(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def _reason(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as we do ({error.reason or 'no handshake'})"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"it does not speak HTTP ({type(error).__name__})"
    if isinstance(error, OSError) and error.errno:
        return str(error.strerror or error.errno)
    return ""
