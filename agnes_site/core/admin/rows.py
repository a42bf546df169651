"""Small things that admins say about rows."""

from __future__ import annotations

from django.db import models

from agnes_site.core import human


def become(obj: models.Model, saved: models.Model) -> None:
    """Make the object of a form the one that a service has made."""
    obj.__dict__.update(saved.__dict__)


def summary(count: int, noun: str) -> list[str]:
    """Return ``["3 grants"]``, or nothing for none: for what goes with a deleted object."""
    return [human.plural(count, noun)] if count else []
