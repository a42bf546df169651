"""The HTTP API: all routers in one place, and the one answer for every error."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import page_not_found
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from access.api import router as tokens_router
from access.auth import AdminUser, AnyUser
from agnes_site.core.errors import (
    AgnesError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    NotSignedInError,
    UpstreamError,
)
from agnes_site.core.requests import current
from agnes_site.core.version import VERSION
from agnes_site.web.api import client_router, health_router, workspace_router
from catalog.api import admin_router as catalog_admin_router
from catalog.api import router as catalog_router
from extracts.api import admin_router as extracts_admin_router
from extracts.api import status_router

logger = structlog.get_logger(__name__)

api = NinjaAPI(
    title="Agnes",
    version=VERSION,
    description="Data, metrics and plugins for the analysts of a company and their AI agents.",
    docs_url="/api/docs",
    openapi_url="/api/openapi.json",
    auth=AnyUser(),
)

api.add_router("/api", health_router, auth=None)
api.add_router("/api", status_router, auth=None)
api.add_router("/api", catalog_router)
api.add_router("/api", workspace_router)
api.add_router("/auth", tokens_router)
api.add_router("/cli", client_router, auth=None)
api.add_router("/api", extracts_admin_router, auth=AdminUser())
api.add_router("/api/admin", catalog_admin_router, auth=AdminUser())


class BadRequestBodyError(InvalidInputError):
    """A field of the request is missing, unknown or of the wrong type."""

    code = "request_invalid"


class ServerBusyError(UpstreamError):
    """The database did not answer in time."""

    code = "database_unavailable"
    status = 503
    hint = "Try again in a moment."


class UnexpectedError(AgnesError):
    """Something that nobody foresaw; the server's log has it under the request's id."""

    code = "internal_error"
    status = 500
    hint = "Give the request id to whoever runs the server."


def respond(request: HttpRequest, error: AgnesError) -> HttpResponse:
    """Return the answer for an error: flat keys, and the older names below ``detail``."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "details": error.details,
        "request_id": current().request_id,
    }
    body["detail"] = {
        **error.details,
        "code": error.code,
        "reason": error.code,
        "kind": error.code,
        "error": error.code,
        "message": error.message,
        "hint": error.hint,
    }
    response = api.create_response(request, body, status=error.status)
    retry_after = getattr(error, "retry_after", None) or error.details.get("retry_after_seconds")
    if retry_after is not None and isinstance(error, (UpstreamError, LimitExceededError)):
        response["Retry-After"] = str(int(retry_after))
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(AgnesError)
def _on_agnes_error(request: HttpRequest, error: AgnesError) -> HttpResponse:
    return respond(request, error)


@api.exception_handler(AuthenticationError)
def _on_not_signed_in(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return respond(request, NotSignedInError("Sign in first."))


@api.exception_handler(ValidationError)
def _on_invalid_request(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [
        {"field": ".".join(str(part) for part in item["loc"][1:]), "message": item["msg"]}
        for item in error.errors
    ]
    message = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
    return respond(request, BadRequestBodyError(message, problems=problems))


@api.exception_handler(DjangoValidationError)
def _on_invalid_row(request: HttpRequest, error: DjangoValidationError) -> HttpResponse:
    return respond(request, BadRequestBodyError(" ".join(error.messages)))


@api.exception_handler(Http404)
def _on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return respond(request, NotFoundError("There is nothing at this address."))


@api.exception_handler(HttpError)
def _on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    found = BadRequestBodyError(error.message)
    found.status = error.status_code  # type: ignore[misc]  # that of the framework's own error
    return respond(request, found)


@api.exception_handler(OperationalError)
def _on_database_trouble(request: HttpRequest, error: OperationalError) -> HttpResponse:
    logger.exception("The database did not answer")
    return respond(request, ServerBusyError("The database did not answer.", retry_after=2))


@api.exception_handler(Exception)
def _on_anything_else(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.exception("A request failed unexpectedly")
    return respond(request, UnexpectedError("The server could not do this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for an address that leads nowhere: JSON for programs, a page for people."""
    if request.path.startswith(("/api/", "/auth/", "/cli/")):
        return respond(request, NotFoundError("There is nothing at this address."))
    return page_not_found(request, exception)
