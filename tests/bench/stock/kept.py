"""What an installation holds in the end: runs, versions, and their files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings

from catalog.models import Table, TablePart
from extracts.models import Run, RunState


def look() -> dict[str, Any]:
    """Return the runs that are not over or failed, current versions, and files that are wrong."""
    published = Table.objects.filter(current_version__isnull=False)
    stored = TablePart.objects.values_list("sha256", flat=True).distinct()
    return {
        "open": Run.objects.open().count(),
        "failed": Run.objects.filter(state=RunState.FAILED).count(),
        "numbers": dict(published.values_list("name", "current_version__number")),
        "wrong": [name for name in stored if _sha256(settings.LAYOUT.stored(name)) != name],
    }


def _sha256(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
