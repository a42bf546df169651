"""What a constraint of the database that was violated means for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import IntegrityError, models

from agnes_site.core.errors import AgnesError, ConflictError, InvalidInputError

# As PostgreSQL and SQLite call them.
_UNIQUE = ("23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")
_FOREIGN_KEY = ("23503", "SQLITE_CONSTRAINT_FOREIGNKEY")
_CHECK = ("23514", "SQLITE_CONSTRAINT_CHECK")


class ChangedMeanwhileError(ConflictError):
    """Somebody else made, changed or removed the same thing at this moment."""

    code = "changed_meanwhile"
    hint = "Look at what is there now, then try again."


class RuleBrokenError(InvalidInputError):
    """What was asked for breaks a rule that the database keeps."""

    code = "rule_broken"


@contextmanager
def violations_told() -> Iterator[None]:
    """Raise what a violated constraint means for a person instead of the database's own error.

    Raises:
        ChangedMeanwhileError, RuleBrokenError: as :func:`meaning` says.
        IntegrityError: it means nothing to a person.
    """
    try:
        yield
    except IntegrityError as error:
        meant = meaning(error)
        if meant is None:
            raise
        raise meant from error


def meaning(error: IntegrityError) -> AgnesError | None:
    """Return what a violated constraint means for a person; ``None`` where it is our own mistake.

    Services look before they write, so two that want the same name, or one that refers to what
    is gone, have met somebody else in between. A rule counts if its model says it in words.
    """
    cause: Any = error.__cause__
    kind = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    if kind in _UNIQUE:
        text = _said(error) or "Somebody else made the same at the same time."
        return ChangedMeanwhileError(text)
    if kind in _FOREIGN_KEY:
        return ChangedMeanwhileError("Something that belongs to it was removed at the same time.")
    if kind in _CHECK and (text := _said(error)):
        return RuleBrokenError(text)
    return None


def _said(error: IntegrityError) -> str:
    """Return what the model says of the constraint that was violated, if it has words for it."""
    text = str(error)
    named = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    for model in apps.get_models():
        for constraint in model._meta.constraints:
            if constraint.name == named or text in _in_sqlite(model, constraint):
                return _own_message(constraint)
    return ""


def _in_sqlite(model: type[models.Model], constraint: models.BaseConstraint) -> list[str]:
    """Return how SQLite says that a constraint failed."""
    if not isinstance(constraint, models.UniqueConstraint):
        return [f"CHECK constraint failed: {constraint.name}"]
    fields: list[Any] = [model._meta.get_field(name) for name in constraint.fields]
    listed = ", ".join(f"{model._meta.db_table}.{field.column}" for field in fields)
    # It names the index of expressions, and the columns of others.
    return [
        f"UNIQUE constraint failed: index '{constraint.name}'",
        f"UNIQUE constraint failed: {listed}",
    ]


def _own_message(constraint: models.BaseConstraint) -> str:
    message = str(constraint.violation_error_message)
    return message if message != str(constraint.default_violation_error_message) else ""
