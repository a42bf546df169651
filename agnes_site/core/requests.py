"""What every part of a request may know of it: its id, and who called from where."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

from agnes_site.core.version import VERSION

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """The request in progress; empty outside of one."""

    request_id: str = ""
    ip: str | None = None
    client_kind: str = ""


_NONE = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request", default=_NONE)


def current() -> RequestContext:
    """Return the context of the request in progress."""
    return _current.get()


def note_client_kind(kind: str) -> None:
    """Record what kind of client is calling: ``web``, ``cli`` or ``service``."""
    _current.set(replace(_current.get(), client_kind=kind))


class RequestContextMiddleware:
    """Give each request an id, and each API answer the headers that clients compare."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its id bound to the log and to the answer."""
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _ACCEPTED_ID.fullmatch(given) else uuid4().hex[:16]
        token = _current.set(
            RequestContext(request_id=request_id, ip=request.META.get("REMOTE_ADDR") or None)
        )
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            _current.reset(token)
        response["X-Request-Id"] = request_id
        if request.path.startswith("/api/"):
            response["X-Agnes-Latest-Version"] = VERSION
            response["X-Agnes-Min-Version"] = "0.0.0"
        return response
