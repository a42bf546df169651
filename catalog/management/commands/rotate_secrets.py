"""`manage.py rotate_secrets`: encrypt the secrets of all sources with a new key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agnes_site.core import human
from catalog.services import rotation
from catalog.services.rotation import Rotation


class Command(BaseCommand):
    """Encrypt the secrets of all sources with a new key, and drop the keys that nothing needs.

    It may run while people work, be ended at any moment and be repeated. Backups of the database
    from before need the old key: keep it with --keep-old, or keep a backup of its file.

    With AGNES_SECRETS_KEYS, put a new key (`openssl rand -base64 32`) before the others there,
    restart every server and worker, then run this; the other keys can then be removed.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--keep-old`."""
        parser.add_argument(
            "--keep-old", action="store_true", help="keep the keys that nothing needs any more"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, and say what was done; fail where a secret could not be read."""
        done = rotation.rotate(keeps_old=options["keep_old"])
        self._say(done)
        if done.unreadable:
            raise SystemExit(1)

    def _say(self, done: Rotation) -> None:
        renewed = human.plural(done.renewed, "secret")
        self.stdout.write(f"Encrypted {renewed} with the key {done.key_id}.")
        for key in done.dropped:
            self.stdout.write(f"Dropped the key {key}.")
        for line in done.unreadable:
            self.stderr.write(f"Left as it is: {line}")
        if done.unreadable:
            self.stderr.write("Type these secrets again on the pages of their sources.")
