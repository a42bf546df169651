"""Django's entry into this app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate

_SYSTEM_GROUPS = {
    "Admin": "May do everything.",
    "Everyone": "Every active user, without being added.",
}


class AccessConfig(AppConfig):
    """Sees to the two groups that are always there, and registers what can be taken back."""

    name = "access"

    def ready(self) -> None:
        """Make the system groups whenever the database was brought up to date or emptied."""
        from access.services import reverting  # noqa: PLC0415 (models are loaded by now)

        reverting.register_all()
        post_migrate.connect(_make_system_groups, sender=self)


def _make_system_groups(*, using: str, apps: Any = installed, **_: object) -> None:
    try:
        groups = apps.get_model("access", "Group").objects.using(using)
    except LookupError:
        return  # migrated back to before there were groups
    for name, description in _SYSTEM_GROUPS.items():
        groups.get_or_create(name=name, defaults={"is_system": True, "description": description})
