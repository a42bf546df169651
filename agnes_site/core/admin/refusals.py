"""What a service refuses, as a page says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from agnes_site.core.errors import AgnesError


def said(error: AgnesError | ValidationError) -> str:
    """Return what happened and what to do next, in one line."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return f"{error.message} {error.hint}".strip()


def refusing(
    form: Any, error: AgnesError | ValidationError, fields: Mapping[str, str]
) -> type[Any]:
    """Return ``form`` as one that refuses what a service has refused, at the field it concerns."""

    class Refusing(form):  # type: ignore[misc]  # made at runtime
        def _post_clean(self) -> None:
            super()._post_clean()
            code = error.code if isinstance(error, AgnesError) else ""
            field = fields.get(code or "")
            self.add_error(field if field in self.fields else None, said(error))

    return Refusing
