"""Django's entry into this app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_delete


class ExtractsConfig(AppConfig):
    """Registers the connectors that are part of Agnes, and what runs add to the catalog's pages."""

    name = "extracts"

    def ready(self) -> None:
        """Make the built-in connectors and the panels known."""
        from catalog import queries  # noqa: PLC0415 (models are loaded by now)
        from catalog.models import Source  # noqa: PLC0415 (models are loaded by now)
        from extracts.admin import panels  # noqa: PLC0415 (models are loaded by now)
        from extracts.services import (  # noqa: PLC0415 (models are loaded by now)
            probing,
            regeneration,
        )

        import_module("extracts.connectors")
        panels.register_all()
        queries.use(probing.check_query)
        post_delete.connect(
            regeneration.on_source_deleted, sender=Source, dispatch_uid="extracts.regeneration"
        )
