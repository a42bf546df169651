"""Django's entry into this app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ExtractsConfig(AppConfig):
    """Registers the connectors that are part of Agnes."""

    name = "extracts"

    def ready(self) -> None:
        """Make the built-in connectors known."""
        import_module("extracts.connectors")
