"""`manage.py export_registry`: sources, folders, groups, tables and grants as a document."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agnes_site.core.admin import said
from agnes_site.core.errors import AgnesError
from catalog.services import exchange


class Command(BaseCommand):
    """Print the registry, groups and grants as YAML, or one kind of them as CSV.

    Secrets are not in it. Example: `manage.py export_registry > agnes.yaml`
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the kind and the format."""
        kinds = [kind.name for kind in exchange.KINDS]
        parser.add_argument("--kind", choices=kinds, default="", help="only things of this kind")
        parser.add_argument(
            "--csv", action="store_true", help="print CSV instead of YAML; needs --kind"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the document."""
        as_format = exchange.Format.CSV if options["csv"] else exchange.Format.YAML
        try:
            text = exchange.write(as_format=as_format, kind=options["kind"])
        except AgnesError as error:
            raise CommandError(said(error)) from None
        self.stdout.write(text, ending="")
