"""`manage.py setup_code`: a new code for making the first administrator in the browser."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from access.services import setup
from agnes_site.web.first_time_setup import invitation


class Command(BaseCommand):
    """Print where the first administrator is made, and a one-time code for it.

    The code before it is no longer good. `manage.py up` prints one by itself while there is nobody.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Make a code and print it."""
        self.stdout.write(invitation(setup.new_code()))
