"""`manage.py check_audit`: whether a line of the audit was altered or removed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.services import chain
from agnes_site.core import human


class Command(BaseCommand):
    """Look through the whole audit now, as is done once a day; fail where it is not whole.

    What was found is recorded in the audit, and shown above its list.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Seal what is new, look through all, and say what was found."""
        chain.seal()
        told = chain.check().after or {}
        lost = chain.last_loss()
        problems = []
        if told["broken"] is not None:
            problems.append(f"The audit was altered at #{told['broken']:,}, or just before it.")
        if lost is not None:
            known = lost.after or {}
            problems.append(
                f"On {lost.at:%Y-%m-%d %H:%M} UTC its newest events were gone or written anew: it "
                f"had come to #{known['noted']:,} and ended at #{known['found']:,}."
            )
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(
            f"{human.plural(told['sealed'], 'sealed event')}, none altered or removed."
        )
