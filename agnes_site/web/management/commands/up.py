"""`manage.py up`: the whole installation in one command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from agnes_site.core import supervisor
from agnes_site.core.migrations import bring_up_to_date


class Command(BaseCommand):
    """Bring the database up to date, then run web, worker and beat until Ctrl-C."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Become supervisord; a process that ends is started again."""
        supervisor.check_port(settings.CONFIG.bind)
        bring_up_to_date()
        path = supervisor.write_supervisord_config(settings.CONFIG, settings.LAYOUT)
        self.stdout.write(f"Serving http://{settings.CONFIG.bind} until Ctrl-C.")
        self.stdout.flush()
        share_output()
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)]
        os.execv(sys.executable, command)


def share_output() -> None:
    """Hand the output on by a pipe where the processes to be started cannot open it themselves.

    It is so with the terminal of another user, below su and sudo, and with the socket to systemd's
    journal; supervisord then starts nothing, and says nothing.
    """
    try:
        Path("/dev/fd/1").open("ab", buffering=0).close()
    except OSError:
        # Beyond the reach of Ctrl-C: it ends with the last of those that write.
        relay = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
        assert relay.stdin is not None
        os.dup2(relay.stdin.fileno(), 1)
        os.dup2(relay.stdin.fileno(), 2)
