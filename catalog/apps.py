"""Django's entry into this app."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Registers what of the catalog can be granted, and what can be taken back."""

    name = "catalog"

    def ready(self) -> None:
        """Make things grantable and their changes revertible; check the default schedule."""
        from catalog.services import (  # noqa: PLC0415 (models are loaded by now)
            grantable,
            reverting,
            timing,
        )

        grantable.register_all()
        reverting.register_all()
        timing.check_default()
