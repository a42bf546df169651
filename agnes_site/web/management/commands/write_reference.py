"""`manage.py write_reference`: write the pages of docs/reference from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agnes_site.core.config import BASE_DIR
from agnes_site.web import reference


class Command(BaseCommand):
    """Write the generated pages, or say with `--check` which of them are not current."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--check` and `--folder`."""
        parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
        parser.add_argument(
            "--folder", type=Path, default=BASE_DIR / "docs" / "reference", help="where they are"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write what differs."""
        folder: Path = options["folder"]
        stale = [
            (folder / name, text)
            for name, text in reference.pages().items()
            if _content(folder / name) != text
        ]
        if options["check"]:
            if stale:
                names = ", ".join(path.name for path, _ in stale)
                raise CommandError(f"Not current: {names}. Run `make docs` and commit them.")
            return
        for path, text in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {path.name}")


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
