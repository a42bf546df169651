"""`manage.py config`: what is configured, and where each value comes from."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agnes_site.core.config import described, loaded


class Command(BaseCommand):
    """Print the configuration in force with the origin of each value; secrets are masked."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--json`."""
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a setting."""
        found = loaded()
        rows = [
            {
                "setting": name,
                "value": _shown(getattr(found.config, name), is_secret=is_secret),
                "origin": found.origins[name],
                "environment": env,
                "yaml": yaml_key,
            }
            for name, _, env, yaml_key, is_secret in described()
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"settings": rows, "notes": found.notes}, indent=2))
            return
        for row in rows:
            self.stdout.write(f"{row['setting']:24} {row['value']:40} {row['origin']}")
        for note in found.notes:
            self.stdout.write(f"note: {note}")


def _shown(value: object, *, is_secret: bool) -> str:
    if is_secret:
        return "***" if value else "<empty>"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
