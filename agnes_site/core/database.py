"""Small things that every app's models share."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models


def choices_of(enumeration: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the choices of a field whose values are those of ``enumeration``."""
    return [(member.value, member.value.replace("_", " ").capitalize()) for member in enumeration]


class UuidModel(models.Model):
    """A model whose primary key is a random UUID, so that ids say nothing and never collide."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True
