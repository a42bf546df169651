"""`manage.py scrub`: read every stored file now, and say which are damaged."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agnes_site.core import human
from catalog.models import Incident, IncidentKind
from extracts.models import ScrubRound
from extracts.services import leases, scrub


class Command(BaseCommand):
    """Read every stored file now; exit with 1 when one is damaged or missing.

    A damaged file is moved to DATA_DIR/quarantine/damaged, and its table is extracted in full.
    The server does the same by itself, a little at a time.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, and say what was found."""
        try:
            with leases.lease("scrub", wait_seconds=60):
                done = scrub.read_all(on_progress=self._say)
        except leases.LeaseTakenError as error:
            raise CommandError(f"{error.message} {error.hint}") from error
        for incident in Incident.objects.waiting().filter(kind=IncidentKind.DAMAGED):
            self.stderr.write(f"{incident.message}\n{incident.hint}")
        if done.bad_files:
            raise SystemExit(1)

    def _say(self, going: ScrubRound) -> None:
        told = f"Read {human.plural(going.files, 'file')}, {human.size(going.bytes)}"
        self.stdout.write(f"{told}: {going.bad_files} damaged or missing.")
