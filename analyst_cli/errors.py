"""What can go wrong in the client: a message, what to do next, and an exit code."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_SIGNED_IN = 4
EXIT_SERVER_ERROR = 5
EXIT_NOT_THERE = 8
EXIT_INTERRUPTED = 130


class CliError(Exception):
    """Something the user can act on; printed as `Error:` and `hint:`, never as a traceback."""

    code: str = "failed"
    exit_code: int = EXIT_FAILED
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = _harmless(message)
        if hint is not None:
            self.hint = _harmless(hint)
        if code is not None:
            self.code = code


def _harmless(text: str) -> str:
    """Return ``text``, which may come from a server or a file, without what steers a terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class TransportError(CliError):
    """The server could not be reached, or the connection broke; the same may work later."""

    code = "server_unreachable"
    hint = "Check the address with `agnes auth status`, the network, and that the server runs."


class ApiError(CliError):
    """The server answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "http_error",
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.retry_after = retry_after
        if status >= 500:
            self.exit_code = EXIT_SERVER_ERROR
        elif status in (403, 404):
            self.exit_code = EXIT_NOT_THERE
        elif status == 422:
            self.exit_code = EXIT_USAGE


class NotSignedInError(CliError):
    """There is no token, or the server did not accept it."""

    code = "not_signed_in"
    exit_code = EXIT_NOT_SIGNED_IN
    hint = "Run `agnes auth login` with a current token; administrators make one under *Tokens*."


class UsageError(CliError):
    """The command was called in a way that cannot work."""

    code = "usage"
    exit_code = EXIT_USAGE
