"""Small things that every app's models share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from django.db import connection, models, transaction

from agnes_site.core.errors import UpstreamError


class DatabaseUnavailableError(UpstreamError):
    """The database did not answer, or not in time."""

    code = "database_unavailable"
    status = 503
    hint = "Try again in a moment."


def choices_of(enumeration: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the choices of a field whose values are those of ``enumeration``."""
    return [(member.value, member.value.replace("_", " ").capitalize()) for member in enumeration]


def as_uuid(text: object) -> uuid.UUID | None:
    """Return the id that a text is, if it is one."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


class UuidModel(models.Model):
    """A model whose primary key is a random UUID, so that ids say nothing and never collide."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Commit what is written inside without waiting until the disk has it.

    It outlives the process, but a power cut may take what was written in the last moments. For
    lines that are written for each of very many requests; never for what a person was told is
    saved. Inside of a transaction it does nothing: that one decides.
    """
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO OFF")
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous = FULL")


def one_at_a_time(name: str) -> None:
    """Wait until no other transaction is in progress that has asked for the same ``name``.

    Call it first in a transaction. On SQLite there is nothing to wait for: transactions begin as
    writers, of which there is one.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Only a transaction can be the only one.")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"agnes:{name}"])
