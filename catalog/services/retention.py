"""What is kept of older versions, and which stored files may go."""

from __future__ import annotations

import time
from pathlib import Path

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import locked
from catalog.models import Table, TablePart, TableVersion


@transaction.atomic
def thin_out(*, table: Table, kept: int) -> int:
    """Forget all but the newest ``kept`` versions of a table, never the one in service."""
    # Locked, so that nobody rolls back to a version while it goes.
    table = Table.objects.select_for_update().get(pk=table.pk)
    newest = list(table.versions.order_by("-number").values_list("pk", flat=True)[:kept])
    old = table.versions.exclude(Q(pk__in=newest) | Q(pk=table.current_version_id))
    count = old.count()
    old.delete()
    return count


def thin_out_all(*, kept: int) -> int:
    """Forget old versions of every table that has too many; return how many versions went."""
    count = 0
    for table in _with_more_than(kept):
        count += thin_out(table=table, kept=kept)
        failpoint("retention.versions_deleted")
    return count


def collect_garbage(*, store: Path, older_than_seconds: float) -> list[Path]:
    """Remove the stored files that no version names; return them.

    A file counts as unused only after ``older_than_seconds`` without being written or taken up
    again. While anybody publishes nothing is removed, whatever the clock says: the version of
    a file may be about to be committed.
    """
    removed: list[Path] = []
    limit = time.time() - older_than_seconds
    for folder in sorted(path for path in store.iterdir() if path.is_dir()):
        old = {path.stem: path for path in folder.glob("*.parquet") if _is_older(path, limit)}
        for sha256 in old.keys() - _named(list(old)):
            # Asked again for this one file: it may have been taken up or named since.
            try:
                with locked(store, waits=False), locked(folder):
                    if _named([sha256]) or not _is_older(old[sha256], limit):
                        continue
                    old[sha256].unlink(missing_ok=True)
            except BlockingIOError:
                return removed
            failpoint("retention.file_deleted")
            removed.append(old[sha256])
    return removed


def _is_older(path: Path, limit: float) -> bool:
    try:
        return path.stat().st_mtime < limit
    except FileNotFoundError:
        return False


def _named(hashes: list[str]) -> set[str]:
    parts = TablePart.objects.filter(sha256__in=hashes).values_list("sha256", flat=True)
    combined = TableVersion.objects.filter(combined_sha256__in=hashes).values_list(
        "combined_sha256", flat=True
    )
    return {sha256 for sha256 in (*parts, *combined) if sha256}


def _with_more_than(kept: int) -> QuerySet[Table]:
    return Table.objects.annotate(kept=Count("versions")).filter(kept__gt=kept)
