"""The faces of the catalog: extract folders and the analytics file, derived from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Prefetch, Q, QuerySet

from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress
from agnes_site.core.storage import Layout
from catalog import connectors
from catalog.connectors import QueryMode
from catalog.models import IncidentKind, Source, Table, TableName, TablePart
from catalog.services import incidents
from extracts.engine import contract, orchestrator
from extracts.engine.contract import DataFile, ExtractTable, data_file_name
from extracts.engine.orchestrator import AnalyticsDamagedError, SourceViews, TableViews
from extracts.models import Run, RunKind, RunTrigger
from extracts.services import remote, runs
from extracts.services.leases import lease

# The newest files that we wrote: the one in place, and one that is about to be.
_KEPT_HASHES = 4


class ForeignFileError(AgnesError):
    """Somebody else put a file into a folder of ours."""

    code = "foreign_file"
    hint = "It was moved into `foreign/` there. A producer of its own needs a folder of its own."


def request(source: Source) -> Run:
    """Ask for the faces of a source to be renewed; what is asked for already is returned."""
    return runs.request_run(
        source=source, kind=RunKind.REBUILD, trigger=RunTrigger.SYSTEM, by=None
    )[0]


def request_behind() -> int:
    """Ask for every source whose faces do not show its rows; return how many there were."""
    layout: Layout = settings.LAYOUT
    behind = {source.pk: source for source in _behind(Source.objects.all())}
    for source in _shown_sources():
        if not _is_shown(layout, source):
            Source.objects.filter(pk=source.pk).update(extract_stamp=None)
            behind[source.pk] = source
    if orchestrator.current(layout.analytics) is None:
        behind |= {source.pk: source for source in _shown_sources()}
    for source in behind.values():
        request(source)
    return len(behind)


def rebuild_source(source: Source, progress: Progress) -> None:
    """Bring the faces of one source up to date with its rows; costs nothing when they are."""
    layout: Layout = settings.LAYOUT
    with lease(f"source:{source.slug}", wait_seconds=60):
        while True:
            source.refresh_from_db()
            stamp = source.stamp
            _renew_extract(layout, source, progress)
            _renew_analytics(layout, [source], progress)
            source.refresh_from_db()
            if source.stamp == stamp:
                return


def rebuild(progress: Progress) -> list[str]:
    """Bring the faces of all sources up to date, each on its own; return what failed, by name.

    Sources whose faces show their rows already cost nothing.
    """
    layout: Layout = settings.LAYOUT
    failed: list[str] = []
    _forget_deleted(layout)
    sources = list(_shown_sources())
    behind = set(_behind(Source.objects.all()).values_list("pk", flat=True))
    for number, source in enumerate(sources):
        if source.pk not in behind and _is_shown(layout, source):
            continue
        progress("extracts", done=number, total=len(sources))
        try:
            with lease(f"source:{source.slug}", wait_seconds=60):
                # Whoever held the lease before has changed what is recorded of the folder.
                source.refresh_from_db()
                _renew_extract(layout, source, progress)
        except Source.DoesNotExist:
            continue  # its deletion has asked for a rebuild of its own
        except (AgnesError, OSError) as error:
            failed.append(f"{source.slug}: {error}")
    _renew_analytics(layout, sources, progress)
    return failed


def on_source_deleted(**_: object) -> None:
    """Ask for the faces of all sources, so that those of a deleted one go."""
    transaction.on_commit(
        lambda: runs.request_run(kind=RunKind.REBUILD, trigger=RunTrigger.SYSTEM, by=None)
    )


def _forget_deleted(layout: Layout) -> None:
    """Remove the extract folders that we made for sources that are gone, and their views."""
    known = _slugs()
    for folder in layout.extracts.iterdir():
        if folder.name not in known and contract.is_written_by_us(folder):
            with lease(f"source:{folder.name}", wait_seconds=60):
                # Asked again for this one: it may have been made since.
                if folder.name not in _slugs():
                    contract.ExtractFolder(folder).remove()
    with lease("analytics", wait_seconds=60), suppress(AnalyticsDamagedError):
        gone = orchestrator.shown_sources(layout.analytics) - _slugs()
        if gone:
            orchestrator.renew(layout.analytics, changed=[], gone=sorted(gone))


def _slugs() -> set[str]:
    return set(Source.objects.values_list("slug", flat=True))


def _renew_extract(layout: Layout, source: Source, progress: Progress) -> None:
    if connectors.is_foreign(source.source_type):
        Source.objects.filter(pk=source.pk).update(extract_stamp=source.stamp)
        return
    if source.extract_stamp == source.stamp and _extract_file(layout, source).exists():
        return
    progress("regenerate", message=f"Renewing extracts/{source.slug}")
    folder = layout.extracts / source.slug
    folder.mkdir(exist_ok=True)
    prepared = contract.prepare_extract(
        folder,
        _extract_tables(layout, source),
        remote=remote.attaches(source),
        own=frozenset(source.extract_hashes),
    )
    # Recorded before the switch: a file of ours is never taken for a foreign one.
    source.extract_hashes = [*source.extract_hashes[1 - _KEPT_HASHES :], prepared.sha256]
    source.save(update_fields=["extract_hashes"])
    prepared.switch()
    Source.objects.filter(pk=source.pk).update(extract_stamp=source.stamp)
    failpoint("regenerate.recorded")
    _report_foreign(source, prepared.moved_aside)


def _renew_analytics(layout: Layout, sources: Sequence[Source], progress: Progress) -> None:
    with lease("analytics", wait_seconds=120):
        current = orchestrator.current(layout.analytics)
        wanted = [source.pk for source in sources]
        if current is None:
            behind = list(_shown_sources())
        else:
            behind = list(
                Source.objects.filter(pk__in=wanted).exclude(analytics_stamp=F("stamp"))
                | Source.objects.filter(pk__in=wanted, analytics_stamp__isnull=True)
            )
        if not behind:
            return
        progress("views", total=len(behind), message="Renewing analytics/server.duckdb")
        stamps = {source.pk: source.stamp for source in behind}
        views = [_views(layout, source) for source in behind]
        try:
            renewed = orchestrator.renew(layout.analytics, changed=views)
        except AnalyticsDamagedError:
            everything = list(_shown_sources())
            stamps = {source.pk: source.stamp for source in everything}
            renewed = orchestrator.renew(
                layout.analytics,
                changed=[_views(layout, source) for source in everything],
                from_scratch=True,
            )
        for left_out in renewed.left_out:
            progress("views", message=f"{left_out.name} is left out: {left_out.reason}")
        _record(stamps)
        failpoint("rebuild.recorded")


def _record(stamps: dict[UUID, UUID]) -> None:
    for pk, stamp in stamps.items():
        Source.objects.filter(pk=pk).update(analytics_stamp=stamp)


def _behind(sources: QuerySet[Source]) -> QuerySet[Source]:
    """Limit to sources with tables whose faces show something else than their rows."""
    return (
        sources.filter(Q(tables__isnull=False) | Q(extract_stamp__isnull=False))
        .filter(
            Q(extract_stamp__isnull=True)
            | Q(analytics_stamp__isnull=True)
            | ~Q(extract_stamp=F("stamp"))
            | ~Q(analytics_stamp=F("stamp"))
        )
        .distinct()
    )


def _shown_sources() -> QuerySet[Source]:
    return Source.objects.filter(
        Q(tables__isnull=False) | Q(extract_stamp__isnull=False)
    ).distinct()


def _is_shown(layout: Layout, source: Source) -> bool:
    """Say whether a source has the extract folder that it should have."""
    return _extract_file(layout, source).exists() or connectors.is_foreign(source.source_type)


def _extract_file(layout: Layout, source: Source) -> Path:
    return layout.extracts / source.slug / "extract.duckdb"


def _tables(source: Source) -> QuerySet[Table]:
    return (
        source.tables.filter(Q(current_version__isnull=False) | Q(query_mode=QueryMode.REMOTE))
        .select_related("current_version")
        .prefetch_related(
            Prefetch("current_version__parts", TablePart.objects.order_by("ordinal")),
            Prefetch("names", TableName.objects.filter(is_alias=True)),
        )
        .order_by("name")
    )


def _parts(table: Table) -> list[TablePart]:
    if table.current_version is None or table.query_mode == QueryMode.REMOTE:
        return []
    return list(table.current_version.parts.all())


def _extract_tables(layout: Layout, source: Source) -> list[ExtractTable]:
    shown = []
    looked_up = remote.views(source)
    for table in _tables(source):
        parts, version = _parts(table), table.current_version
        shown.append(
            ExtractTable(
                name=table.name,
                description=table.description,
                rows=version.rows if version and parts else 0,
                size_bytes=version.bytes if version and parts else 0,
                extracted_at=version.created_at if version else table.registered_at,
                query_mode=QueryMode(table.query_mode),
                remote=looked_up.get(table.pk),
                files=tuple(
                    DataFile(
                        data_file_name(
                            table=table.name, ordinal=part.ordinal, key=part.key,
                            alone=len(parts) == 1,
                        ),
                        layout.stored(part.sha256),
                    )
                    for part in parts
                ),
            )
        )  # fmt: skip
    return shown


def _views(layout: Layout, source: Source) -> SourceViews:
    looked_up = remote.views(source)
    return SourceViews(
        source=source.slug,
        tables=tuple(
            TableViews(
                name=table.name,
                files=tuple(layout.stored(part.sha256) for part in _parts(table)),
                aliases=tuple(alias.name for alias in table.names.all()),
                query_mode=QueryMode(table.query_mode),
                remote=looked_up.get(table.pk),
            )
            for table in _tables(source)
        ),
    )


def _report_foreign(source: Source, moved: Sequence[Path]) -> None:
    if not moved:
        return
    names = ", ".join(path.name for path in moved[:5])
    incidents.open_incident(
        about=source,
        kind=IncidentKind.FOREIGN_FILE,
        error=ForeignFileError(f"Foreign files were in extracts/{source.slug}: {names}."),
    )
