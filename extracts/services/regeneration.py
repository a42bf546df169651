"""The faces of the catalog: extract folders and the analytics file, derived from its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress
from agnes_site.core.storage import Layout
from catalog.models import IncidentKind, Source
from catalog.services import incidents
from extracts.engine import contract, orchestrator
from extracts.engine.contract import PreparedExtract
from extracts.engine.orchestrator import AnalyticsDamagedError, Renewed, SourceViews
from extracts.models import Run, RunKind, RunTrigger
from extracts.services import faces, runs
from extracts.services.leases import Held, LeaseTakenError, lease, leases
from extracts.services.ownership import is_foreign

# The newest files that we wrote: the one in place, and one that is about to be.
_KEPT_HASHES = 4
_ANALYTICS = "analytics"
# Sources whose rows are read and written together.
_AT_ONCE = 50


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
    behind = {source.pk: source for source in _behind()}
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
    """Bring the faces of one source up to date with its rows; costs nothing when they are.

    Raises:
        AgnesError, OSError: they cannot be written.
    """
    for error in rebuild_sources([source], progress).values():
        raise error


def rebuild_sources(
    sources: Sequence[Source], progress: Progress
) -> dict[str, AgnesError | OSError]:
    """Bring the faces of some sources up to date, each on its own; return what failed, by slug."""
    layout: Layout = settings.LAYOUT
    failed: dict[str, AgnesError | OSError] = {}
    left = {source.pk for source in sources}
    while left:
        known = list(Source.objects.filter(pk__in=left).order_by("slug"))
        failed |= _renew_extracts(layout, known, progress)
        known = [source for source in known if source.slug not in failed]
        _renew_analytics(layout, known, progress)
        # What has changed meanwhile has asked for no run of its own.
        now = dict(Source.objects.filter(pk__in=left).values_list("pk", "stamp"))
        left = {source.pk for source in known if now.get(source.pk, source.stamp) != source.stamp}
    return failed


def rebuild(progress: Progress) -> list[str]:
    """Bring the faces of all sources up to date, each on its own; return what failed, by name.

    Sources whose faces show their rows already cost nothing.
    """
    layout: Layout = settings.LAYOUT
    failed: list[str] = []
    _forget_deleted(layout)
    sources = list(_shown_sources())
    known = set(_behind().values_list("pk", flat=True))
    behind = [each for each in sources if each.pk in known or not _is_shown(layout, each)]
    for start in range(0, len(behind), _AT_ONCE):
        progress("extracts", done=start, total=len(behind))
        some = behind[start : start + _AT_ONCE]
        errors = _renew_extracts(layout, some, progress)
        failed += [f"{slug}: {error}" for slug, error in errors.items()]
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
                    failpoint("regenerate.folder_removed")
    with lease(_ANALYTICS, wait_seconds=60) as held, suppress(AnalyticsDamagedError):
        gone = orchestrator.shown_sources(layout.analytics) - _slugs()
        if gone:
            renewed = orchestrator.renew(
                layout.analytics, changed=[], gone=sorted(gone), before_step=_checking(held)
            )
            _record(layout, renewed, [], held)


def _slugs() -> set[str]:
    return set(Source.objects.values_list("slug", flat=True))


def _renew_extracts(
    layout: Layout, sources: Sequence[Source], progress: Progress
) -> dict[str, AgnesError | OSError]:
    """Renew those extract folders that are behind; return what failed, by slug."""
    failed: dict[str, AgnesError | OSError] = {}
    names = {f"source:{source.slug}": source for source in sources}
    with leases(names) as held:
        failed |= _renew_held(layout, [names[name] for name in sorted(held.names)], progress, held)
    for name in sorted(names.keys() - held.names):
        try:
            with lease(name, wait_seconds=60) as held:
                failed |= _renew_held(layout, [names[name]], progress, held)
        except LeaseTakenError as error:
            failed[names[name].slug] = error
    return failed


def _renew_held(
    layout: Layout, sources: Sequence[Source], progress: Progress, held: Held
) -> dict[str, AgnesError | OSError]:
    # Whoever held the leases before has changed what is recorded of the folders. One that is
    # gone by now has asked for a rebuild of its own.
    fresh = Source.objects.in_bulk([source.pk for source in sources]).values()
    foreign = [source.pk for source in fresh if is_foreign(source)]
    Source.objects.filter(pk__in=foreign).update(extract_stamp=F("stamp"))
    behind = [each for each in fresh if each.pk not in foreign and _is_behind(layout, each)]
    if not behind:
        return {}
    progress("regenerate", total=len(behind), message=_renewing(behind))
    prepared, failed = _prepared(layout, behind, held)
    # Recorded before the switch: a file of ours is never taken for a foreign one.
    for source, extract in prepared:
        source.extract_hashes = [*source.extract_hashes[1 - _KEPT_HASHES :], extract.sha256]
    Source.objects.bulk_update([source for source, _ in prepared], ["extract_hashes"])
    failpoint("regenerate.hash_recorded")
    not_switched = contract.switch_all([extract for _, extract in prepared])
    failed |= {
        source.slug: not_switched[extract.folder]
        for source, extract in prepared
        if extract.folder in not_switched
    }
    with transaction.atomic():
        ours = held.ours()
        for source, extract in prepared:
            # Whoever is late may have switched last: then nobody says that it is up to date.
            is_ours = f"source:{source.slug}" in ours and source.slug not in failed
            is_shown = contract.extract_hash(_extract_file(layout, source)) == extract.sha256
            source.extract_stamp = source.stamp if is_ours and is_shown else None
        Source.objects.bulk_update([source for source, _ in prepared], ["extract_stamp"])
    failpoint("regenerate.recorded")
    return failed


def _prepared(
    layout: Layout, sources: Collection[Source], held: Held
) -> tuple[list[tuple[Source, PreparedExtract]], dict[str, AgnesError | OSError]]:
    """Write what each source shows beside what it has shown so far; return what failed, too."""
    prepared: list[tuple[Source, PreparedExtract]] = []
    failed: dict[str, AgnesError | OSError] = {}
    with ExitStack() as opened:
        connection = opened.enter_context(closing(contract.connect()))
        for shown in faces.shown(sources):
            source = shown.source
            folder = layout.extracts / source.slug
            try:
                folder.mkdir(exist_ok=True)
                extract = contract.prepare_extract(
                    folder,
                    shown.extract_tables,
                    remote=shown.attach,
                    own=frozenset(source.extract_hashes),
                    connection=connection,
                    before_step=partial(held.check, f"source:{source.slug}"),
                    on_foreign=partial(_report_foreign, source),
                )
            except (AgnesError, OSError) as error:
                failed[source.slug] = error
                # The old one may still hold the file that could not be written.
                connection = opened.enter_context(closing(contract.connect()))
            else:
                prepared.append((source, extract))
    return prepared, failed


def _renewing(sources: Sequence[Source]) -> str:
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f"Renewing extracts/{sources[0].slug}{more}"


def _is_behind(layout: Layout, source: Source) -> bool:
    return source.extract_stamp != source.stamp or not _extract_file(layout, source).exists()


def _renew_analytics(layout: Layout, sources: Sequence[Source], progress: Progress) -> None:
    with lease(_ANALYTICS, wait_seconds=120) as held:
        current = orchestrator.current(layout.analytics)
        wanted = [source.pk for source in sources]
        if current is None:
            behind = list(_shown_sources())
        else:
            known = Source.objects.filter(pk__in=wanted)
            behind = list(known.exclude(analytics_stamp=F("stamp")))
        if not behind:
            return
        progress("views", total=len(behind), message="Renewing analytics/server.duckdb")
        try:
            renewed = orchestrator.renew(
                layout.analytics, changed=_views(behind), before_step=_checking(held)
            )
        except AnalyticsDamagedError:
            behind = list(_shown_sources())
            renewed = orchestrator.renew(
                layout.analytics, changed=_views(behind), from_scratch=True,
                before_step=_checking(held),
            )  # fmt: skip
        for left_out in renewed.left_out:
            progress("views", message=f"{left_out.name} is left out: {left_out.reason}")
        _record(layout, renewed, behind, held)


def _record(layout: Layout, renewed: Renewed, shown: Sequence[Source], held: Held) -> None:
    """Say which sources the new analytics file shows, unless others have worked on it."""
    with transaction.atomic():
        if held.ours() and orchestrator.current(layout.analytics) == renewed.path:
            for source in shown:
                source.analytics_stamp = source.stamp
            Source.objects.bulk_update(shown, ["analytics_stamp"], batch_size=_AT_ONCE)
        else:
            # Whoever is late may have switched last: then nobody says that it is up to date.
            Source.objects.update(analytics_stamp=None)
    failpoint("rebuild.recorded")


def _checking(held: Held) -> Callable[[], None]:
    return partial(held.check, _ANALYTICS)


def _views(sources: Sequence[Source]) -> list[SourceViews]:
    chunks = [sources[at : at + _AT_ONCE] for at in range(0, len(sources), _AT_ONCE)]
    return [shown.views for chunk in chunks for shown in faces.shown(chunk)]


def _shown_sources() -> QuerySet[Source]:
    return Source.objects.filter(
        Q(tables__isnull=False) | Q(extract_stamp__isnull=False)
    ).distinct()


def _behind() -> QuerySet[Source]:
    """Return the shown sources whose faces show something else than their rows."""
    return _shown_sources().exclude(extract_stamp=F("stamp"), analytics_stamp=F("stamp"))


def _is_shown(layout: Layout, source: Source) -> bool:
    """Say whether a source has the extract folder that it should have."""
    return _extract_file(layout, source).exists() or is_foreign(source)


def _extract_file(layout: Layout, source: Source) -> Path:
    return layout.extracts / source.slug / contract.EXTRACT_NAME


def _report_foreign(source: Source, paths: Sequence[Path]) -> None:
    names = ", ".join(path.name for path in paths[:5])
    incidents.open_incident(
        about=source,
        kind=IncidentKind.FOREIGN_FILE,
        error=ForeignFileError(f"Foreign files were in extracts/{source.slug}: {names}."),
    )
