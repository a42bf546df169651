"""Damage in the store: set aside, told about, and mended where there is a way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet

from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import Layout
from catalog.models import Incident, IncidentKind, Source, Table, TablePart, TableVersion
from catalog.services import incidents
from extracts.engine import rot
from extracts.engine.rot import Soundness
from extracts.models import RunTrigger
from extracts.services import faces, regeneration, runs

logger = structlog.get_logger(__name__)


class StoredFileDamagedError(AgnesError):
    """A file of a table is damaged on the disk of the server, or not there any more."""

    code = "stored_file_damaged"


def check(sha256: str) -> rot.Finding:
    """Read one stored file, and act on it if it is damaged or missing.

    A damaged one is moved into quarantine. What is missing then comes back from a copy where
    there is one; else there is an incident for each of its tables, and those that serve it are
    asked for anew from their sources.
    """
    layout: Layout = settings.LAYOUT
    place = layout.stored(sha256)
    found = rot.read_again(place, sha256)
    if found.soundness == Soundness.WHOLE:
        return found
    if found.soundness == Soundness.DAMAGED:
        rot.set_aside(place, found, quarantine=layout.damaged)
    tables = list(_naming([sha256]))
    copies = _copies(layout, tables, place)
    is_back = bool(tables) and rot.put_back(place, sha256, copies=copies)
    logger.warning(
        "Stored file is not sound", sha256=sha256, found=found.soundness, is_back=is_back,
        tables=[table.name for table in tables],
    )  # fmt: skip
    if is_back:
        return found
    for table in tables:
        review(table, asks_for_it=True)
    return found


def review_all() -> None:
    """Look again at the tables that were said to be damaged: some may be whole by now."""
    waiting = Incident.objects.waiting().filter(kind=IncidentKind.DAMAGED)
    for incident in waiting.exclude(table=None).select_related("table__source"):
        if incident.table is not None:
            review(incident.table, asks_for_it=False)


def review(table: Table, *, asks_for_it: bool) -> None:
    """Bring what is said about the files of a table up to date.

    With ``asks_for_it`` a table whose files in service are missing is extracted in full.
    """
    lost = _lost_versions(table)
    if not lost:
        if incidents.close_incidents(about=table, kind=IncidentKind.DAMAGED):
            _renew_faces(table.source)
        return
    is_served = table.current_version is not None and table.current_version.number in lost
    error = _described(table, lost, is_served=is_served)
    if _was_waived(table, error):
        return
    incidents.open_incident(about=table, kind=IncidentKind.DAMAGED, error=error)
    if is_served and asks_for_it:
        _renew_faces(table.source)
    if is_served and asks_for_it and not table.is_pinned:
        runs.request_run(table=table, trigger=RunTrigger.SYSTEM, is_full=True, by=None)


def on_extracted(tables: Collection[Table]) -> None:
    """Look again at those of the tables that were damaged, now that they were extracted."""
    damaged = Incident.objects.waiting().filter(kind=IncidentKind.DAMAGED, table__in=tables)
    again = Table.objects.filter(pk__in=damaged.values("table"))
    for table in again.select_related("source", "current_version").order_by("pk"):
        review(table, asks_for_it=False)


def _described(table: Table, lost: Collection[int], *, is_served: bool) -> StoredFileDamagedError:
    numbers = ", ".join(str(number) for number in sorted(lost))
    message = (
        f"Files of {table.name} are damaged or missing on the server: version {numbers}. "
        "What was damaged is in DATA_DIR/quarantine/damaged."
    )
    if not is_served:
        hint = (
            "The version in service is whole; these cannot be rolled back to. Restore their files "
            "from a backup, or waive this. Look at the health of the disk."
        )
    elif table.is_pinned:
        hint = (
            "The table is pinned: release it and extract it, or restore the files from a backup. "
            "Laptops keep the copies that they have. Look at the health of the disk."
        )
    else:
        hint = (
            "A full run was asked for, which brings the files back. If it fails, mend the source "
            "or restore the files from a backup. Laptops keep the copies that they have. "
            "Look at the health of the disk."
        )
    return StoredFileDamagedError(message, hint=hint, table=table.name)


def _was_waived(table: Table, error: AgnesError) -> bool:
    waived = table.incidents.filter(kind=IncidentKind.DAMAGED, waived_by__isnull=False)
    return waived.filter(message=error.message, hint=error.hint).exists()


def _lost_versions(table: Table) -> set[int]:
    """Return the numbers of the versions of a table that lack a file."""
    layout: Layout = settings.LAYOUT
    parts = TablePart.objects.filter(version__table=table).values_list("version__number", "sha256")
    combined = table.versions.values_list("number", "combined_sha256")
    return {
        number
        for number, sha256 in (*parts, *combined)
        if sha256 and not layout.stored(sha256).is_file()
    }


def _naming(hashes: Collection[str]) -> QuerySet[Table]:
    """Return the tables that have a version with one of these files."""
    of_parts = TablePart.objects.filter(sha256__in=hashes).values("version__table")
    combined = TableVersion.objects.filter(combined_sha256__in=hashes).values("table")
    tables = Table.objects.filter(Q(pk__in=of_parts) | Q(pk__in=combined))
    return tables.select_related("source", "current_version").order_by("name")


def _copies(layout: Layout, tables: Collection[Table], place: Path) -> Iterator[Path]:
    """Yield where the extract folders should have the file that the store has at ``place``."""
    sources = {table.source_id: table.source for table in tables}
    for shown in faces.shown(list(sources.values())):
        for table in shown.extract_tables:
            for name, stored_at in table.files:
                if stored_at == place:
                    yield layout.extracts / shown.source.slug / "data" / name


def _renew_faces(source: Source) -> None:
    """Have the extract folder leave out what is not there, and show what is there again."""
    Source.objects.filter(pk=source.pk).update(extract_stamp=None)
    regeneration.request(source)
