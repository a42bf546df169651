"""Django's entry into the pages that join everything."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages on top of the stack: sign-in, overview."""

    name = "agnes_site.web"
    label = "web"

    def ready(self) -> None:
        """Make the Celery application the one that tasks are sent through."""
        import_module("agnes_site.celery")
