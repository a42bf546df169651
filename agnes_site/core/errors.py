"""The one tree of errors: what happened, what to do next, and a code for programs."""

from __future__ import annotations

from typing import Any, ClassVar


class AgnesError(Exception):
    """Something a person or a program can act on.

    ``code`` is for programs and never changes; ``status`` is the HTTP status of an answer;
    ``message`` says what happened and ``hint`` what to do next. Anything else that helps
    (names, numbers) goes into ``details`` as keyword arguments, never a secret.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint
        self.details = details


class InvalidInputError(AgnesError):
    """What was given cannot be used as it is."""

    code = "invalid_input"
    status = 422


class NotSignedInError(AgnesError):
    """The caller did not say who they are, or it was not accepted."""

    code = "not_signed_in"
    status = 401
    hint = "Run `agnes auth login` with a current token."


class AccessDeniedError(AgnesError):
    """The caller is known and may not do this."""

    code = "access_denied"
    status = 403
    hint = "Ask an administrator for access."


class NotFoundError(AgnesError):
    """There is no such thing, or none that the caller may know of."""

    code = "not_found"
    status = 404


class ConflictError(AgnesError):
    """What was asked for does not fit the present state."""

    code = "conflict"
    status = 409


class LimitExceededError(AgnesError):
    """A limit on size, rate or cost was reached."""

    code = "limit_exceeded"
    status = 429


class UpstreamError(AgnesError):
    """A system we depend on failed; the same call may work later.

    ``retry_after`` is a number of seconds, or ``None`` when the other side did not say.
    """

    code = "upstream_error"
    status = 502
    hint = "The source system did not answer as expected; the run is worth another try."

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after: float | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, hint=hint, **details)
        self.retry_after = retry_after


class ConfigurationError(AgnesError):
    """The installation or a source is set up in a way that cannot work."""

    code = "configuration_error"
    status = 500
    hint = "Run `python manage.py config` to see what is in force and where it comes from."
