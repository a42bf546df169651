"""The HTTP API: all routers in one place, and the one answer for every error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import URLPattern, URLResolver
from django.utils.datastructures import MultiValueDict
from django.views.defaults import bad_request as page_bad_request
from django.views.defaults import page_not_found
from django.views.defaults import server_error as page_failed
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser

from access.api import admin_router as access_admin_router
from access.api import tokens_router, users_router
from access.auth import AdminUser, AnyUser
from agnes_site.core import constraints
from agnes_site.core.database import DatabaseUnavailableError
from agnes_site.core.errors import (
    AgnesError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    NotSignedInError,
    UpstreamError,
)
from agnes_site.core.requests import current
from agnes_site.core.storage import as_database_error
from agnes_site.core.version import VERSION
from agnes_site.web.api import (
    client_router,
    health_details_router,
    health_router,
    workspace_router,
)
from catalog.api import admin_router as catalog_admin_router
from catalog.api import router as catalog_router
from extracts.api import admin_router as extracts_admin_router
from extracts.api import router as extracts_router
from extracts.api import status_router

logger = structlog.get_logger(__name__)

# How many objects and lists a body may hold inside of each other.
_MAX_DEPTH = 50


class BadRequestBodyError(InvalidInputError):
    """A field of the request is missing, unknown or of the wrong type."""

    code = "request_invalid"


class BadRequestError(InvalidInputError):
    """The request is one that no program in good order sends, such as for another host."""

    code = "bad_request"
    status = 400
    hint = (
        "Use the address of the server that its operator gave; AGNES_ALLOWED_HOSTS lists its names."
    )


class RequestTooLargeError(InvalidInputError):
    """The body of the request is larger than any that is expected."""

    code = "request_too_large"
    status = 413


class MethodNotAllowedError(InvalidInputError):
    """The address is known, but not with this method."""

    code = "method_not_allowed"
    status = 405


class UnexpectedError(AgnesError):
    """Something that nobody foresaw; the server's log has it under the request's id."""

    code = "internal_error"
    status = 500
    hint = "Give the request id to whoever runs the server."


class StrictParser(Parser):
    """Reads requests, and refuses what could not be kept: NUL characters, endless nesting."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the JSON of the body."""
        try:
            body: dict[str, Any] = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"The body is not JSON: {error}.") from error
        _check_depth_and_texts(body)
        return body

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return what the query of the address says.

        Raises:
            BadRequestBodyError: it holds a NUL character.
        """
        if any("\0" in value for _, values in data.lists() for value in values):
            raise BadRequestBodyError("A text holds a NUL character.")
        return super().parse_querydict(data, list_fields, request)


class Api(NinjaAPI):
    """The API; what its framework would answer in plain text is JSON as well."""

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        """The addresses of the API."""
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = _in_json(pattern.callback)
        return patterns, app_name, namespace


def _in_json(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "\0" in request.path:
            return respond(request, NotFoundError("There is nothing at this address."))
        response = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseNotAllowed):
            error = MethodNotAllowedError(f"{request.method} is not possible at this address.")
            allowed, response = response["Allow"], respond(request, error)
            response["Allow"] = allowed
        return response

    return answer


def _check_depth_and_texts(body: Any) -> None:
    waiting = [(body, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ValueError("The body is nested too deeply.")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("A text holds a NUL character.")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]


api = Api(
    title="Agnes",
    version=VERSION,
    description="Data, metrics and plugins for the analysts of a company and their AI agents.",
    docs_url="/api/docs",
    openapi_url="/api/openapi.json",
    auth=AnyUser(),
    parser=StrictParser(),
)

api.add_router("/api", health_router, auth=None)
api.add_router("/api", status_router, auth=None)
api.add_router("/api", catalog_router)
api.add_router("/api", extracts_router)
api.add_router("/api", health_details_router)
api.add_router("/api", workspace_router)
api.add_router("/auth", tokens_router)
api.add_router("/api", users_router)
api.add_router("/cli", client_router, auth=None)
api.add_router("/api", extracts_admin_router, auth=AdminUser())
api.add_router("/api/admin", catalog_admin_router, auth=AdminUser())
api.add_router("/api/admin", access_admin_router, auth=AdminUser())


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
    # The framework raises this for a body it cannot read, and nothing here does.
    return respond(request, BadRequestBodyError(str(error.__cause__ or error.message)))


@api.exception_handler(RequestDataTooBig)
def _on_large_request(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return respond(request, RequestTooLargeError("The body of the request is too large."))


@api.exception_handler(IntegrityError)
def _on_violation(request: HttpRequest, error: IntegrityError) -> HttpResponse:
    meant = constraints.meaning(error)
    if meant is None:
        return _on_anything_else(request, error)
    logger.warning("The database refused a change", exc_info=error)
    return respond(request, meant)


@api.exception_handler(InterfaceError)
@api.exception_handler(OperationalError)
def _on_database_trouble(
    request: HttpRequest, error: OperationalError | InterfaceError
) -> HttpResponse:
    if "pattern too complex" in str(error):
        # What SQLite says of a text of tens of thousands of characters that is looked for.
        return respond(request, BadRequestBodyError("A name is too long."))
    logger.exception("The database did not answer")
    return respond(request, _meant(error))


def _meant(error: OperationalError | InterfaceError) -> AgnesError:
    busy = DatabaseUnavailableError("The database did not answer.", retry_after=2)
    return as_database_error(error) or busy


@api.exception_handler(Exception)
def _on_anything_else(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.exception("A request failed unexpectedly")
    return respond(request, UnexpectedError("The server could not do this."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for a request that is refused as a whole: JSON for programs, a page for people."""
    if _is_of_a_program(request):
        return respond(request, BadRequestError("The request is refused."))
    return page_bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for an address that leads nowhere: JSON for programs, a page for people."""
    if _is_of_a_program(request):
        return respond(request, NotFoundError("There is nothing at this address."))
    return page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponseBase:
    """Answer for what failed outside of the API: JSON for programs, a page for people."""
    error: BaseException | None = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        error = _meant(error)
    if _is_of_a_program(request):
        unexpected = UnexpectedError("The server could not do this.")
        return respond(request, error if isinstance(error, AgnesError) else unexpected)
    if not isinstance(error, DatabaseUnavailableError):
        return page_failed(request)
    page = HttpResponse(render_to_string("503.html"), status=error.status)
    page["Retry-After"] = str(error.retry_after)
    return page


def _is_of_a_program(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/auth/", "/cli/"))
