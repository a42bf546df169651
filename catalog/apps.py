"""Django's entry into this app."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Registers what of the catalog can be granted, and what can be taken back."""

    name = "catalog"

    def ready(self) -> None:
        """Make tables, folders and sources grantable, and their changes revertible."""
        from catalog.services import grantable, reverting  # noqa: PLC0415 (models are loaded by now)

        grantable.register_all()
        reverting.register_all()
