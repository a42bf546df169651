"""`manage.py up`: the whole installation in one command."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from access.services import setup
from agnes_site.core import supervisor
from agnes_site.core.migrations import bring_up_to_date
from agnes_site.web.first_time_setup import invitation


class Command(BaseCommand):
    """Bring the database up to date, then run web, worker and beat until Ctrl-C."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Become supervisord; a process that ends is started again."""
        held = supervisor.claim(settings.LAYOUT)
        supervisor.check_port(settings.CONFIG.bind)
        bring_up_to_date()
        path = supervisor.write_supervisord_config(settings.CONFIG, settings.LAYOUT)
        self.stdout.write(
            f"Starting: http://{settings.CONFIG.bind} answers in a moment. Ctrl-C ends it."
        )
        if setup.is_open():
            self.stdout.write(invitation(setup.new_code()))
        self.stdout.flush()
        supervisor.share_output()
        supervisor.become(path, held=held)
