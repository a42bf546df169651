"""`manage.py import_registry FILE`: make the registry what a document says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agnes_site.core import human
from agnes_site.core.admin import said
from agnes_site.core.errors import AgnesError
from catalog.services import exchange
from catalog.services.exchange import Action, Change, Plan

_SIGNS = {Action.ADD: "+", Action.CHANGE: "~", Action.REMOVE: "-"}


class Command(BaseCommand):
    """Import sources, folders, groups, tables and grants from YAML or CSV, in one transaction.

    Example: `manage.py import_registry agnes.yaml --dry-run`
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the document and how it is imported."""
        kinds = [kind.name for kind in exchange.KINDS]
        parser.add_argument("file", help="the document; - for standard input")
        parser.add_argument("--kind", choices=kinds, default="", help="what a CSV file lists")
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would change, and change nothing"
        )
        parser.add_argument(
            "--exactly",
            action="store_true",
            help="remove what the document does not name, of the kinds that it lists",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Show the plan, and carry it out unless it is a dry run."""
        name, exactly = options["file"], options["exactly"]
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            document = exchange.read(content, file_name=name, kind=options["kind"])
            if options["dry_run"]:
                plan = exchange.make(document, exactly=exactly, by=None)
            else:
                plan = exchange.apply(document, exactly=exactly, expected=None, by=None)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
        except AgnesError as error:
            problems = error.details.get("problems", [])[1:]
            raise CommandError("\n".join([said(error), *problems])) from None
        self._show(plan, is_done=not options["dry_run"])

    def _show(self, plan: Plan, *, is_done: bool) -> None:
        for change in plan.changes:
            for line in _lines(change):
                self.stdout.write(line)
        counts = plan.counted()
        told = ", ".join(
            f"{counts[action]:,} {word}"
            for action, word in (
                (Action.ADD, "added"), (Action.CHANGE, "changed"), (Action.REMOVE, "removed"),
            )
        )  # fmt: skip
        kept = human.plural(plan.unchanged, "thing")
        if plan.problems:
            raise CommandError("\n".join(["This cannot be imported:", *map(str, plan.problems)]))
        self.stderr.write(f"{'Done' if is_done else 'Would be'}: {told}; {kept} unchanged.")


def _lines(change: Change) -> Iterator[str]:
    yield f"{_SIGNS[change.action]} {change.said}"
    for name in [*change.after, *(name for name in change.before if name not in change.after)]:
        old, new = (
            json.dumps(values[name], ensure_ascii=False) if name in values else ""
            for values in (change.before, change.after)
        )
        arrow = " -> " if old and new else ""
        yield f"    {name}: {old}{arrow}{new}"
