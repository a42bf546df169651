"""Django's entry into this app."""

from __future__ import annotations

from django.apps import AppConfig


class ExtractsConfig(AppConfig):
    """Registers what this app adds to lower ones."""

    name = "extracts"
