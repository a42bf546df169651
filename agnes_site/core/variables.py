"""Environment variables that may hold a secret of a source: allowed by name, read when needed.

Whoever may set up a source could otherwise have the server's own secrets sent to a place of their
choosing, by naming their variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agnes_site.core.config import described, variable
from agnes_site.core.errors import InvalidInputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class VariableRefusedError(InvalidInputError):
    """The environment variable is none that a source may take a secret from."""

    code = "secret_variable_refused"
    hint = "The operator lists the allowed names in AGNES_SECRET_VARIABLES."


class VariableMissingError(InvalidInputError):
    """The environment variable that a source takes a secret from is not set."""

    code = "secret_variable_missing"
    hint = "Set it for the server and its workers, and start them again."


def checked(name: str, *, allowed: Iterable[str]) -> str:
    """Return ``name`` if it may hold a secret of a source.

    Raises:
        VariableRefusedError: it is no name, not on the list, or one of the server's settings.
    """
    if not _NAME.fullmatch(name):
        raise VariableRefusedError(
            f"{name[:64]!r} cannot be the name of a variable.",
            hint="Use letters, digits and _, such as AGNES_SOURCE_PASSWORD.",
        )
    if name in {env for _, _, env, _, _ in described()} or not any(
        _matches(name, pattern) for pattern in allowed
    ):
        raise VariableRefusedError(f"The variable {name} may not be used for secrets.")
    return name


def value_of(name: str, *, allowed: Iterable[str]) -> str:
    """Return the secret in the variable ``name``.

    Raises:
        VariableRefusedError: it may not be read; the list may have changed since it was named.
        VariableMissingError: it is not set, or empty.
    """
    value = variable(checked(name, allowed=allowed))
    if not value:
        raise VariableMissingError(f"The environment variable {name} is not set.")
    return value


def _matches(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern.removesuffix("*"))
    return name == pattern
