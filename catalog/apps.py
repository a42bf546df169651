"""Django's entry into this app."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Registers what of the catalog can be granted."""

    name = "catalog"

    def ready(self) -> None:
        """Make tables, folders and sources grantable."""
        from catalog.services import grantable  # noqa: PLC0415 (models are loaded by now)

        grantable.register_all()
