"""`manage.py up`: the whole installation in one command."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from agnes_site.core import supervisor


class Command(BaseCommand):
    """Bring the database up to date, then run web, worker and beat until Ctrl-C."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Become supervisord; a process that ends is started again."""
        supervisor.check_port(settings.CONFIG.bind)
        call_command("migrate", verbosity=0)
        path = supervisor.write_supervisord_config(settings.CONFIG, settings.LAYOUT)
        self.stdout.write(f"Serving {settings.CONFIG.server_url} until Ctrl-C.")
        self.stdout.flush()
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)]
        os.execv(sys.executable, command)
