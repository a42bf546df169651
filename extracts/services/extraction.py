"""Doing runs: tables brought and published, sources looked through, faces renewed."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import Layout, remove_folder
from catalog import connectors
from extracts.models import Run, RunKind, RunState
from extracts.services import regeneration, remote, runs, scanning
from extracts.services.bringing import bring_tables, staging
from extracts.services.ending import end, ending
from extracts.services.holding import Holding, hold


def execute(*claimed: Run) -> None:
    """Do a claimed run, and what was claimed along with it, to the end.

    Failures end up in the rows of the runs, not in the caller.
    """
    with hold(*claimed) as holdings:
        try:
            with ending(*holdings):
                _do(claimed[0], holdings)
        finally:
            failpoint("run.finished")
            if claimed[0].table_id is not None:
                runs.ring_next(claimed[0].source)


def _do(run: Run, holdings: Sequence[Holding]) -> None:
    if run.kind == RunKind.EXTRACT and run.table is not None:
        bring_tables(holdings)
    elif run.kind == RunKind.EXTRACT:
        scanning.bring_source(*holdings)
    elif run.kind == RunKind.REBUILD and run.source is not None:
        _rebuild_some(holdings)
    elif run.kind == RunKind.REBUILD:
        _rebuild_all(*holdings)
    else:
        raise connectors.UnsupportedCapabilityError(
            f"Runs of kind {run.kind} are not part of this release."
        )


def _rebuild_some(holdings: Sequence[Holding]) -> None:
    sources = []
    for holding in holdings:
        source = holding.run.source
        assert source is not None, "This is the rebuild of one source."
        sources.append(source)
        for said in remote.look(source, progress=holding.progress):
            holding.note(said)
    failed = regeneration.rebuild_sources(sources, holdings[0].progress)
    for holding, source in zip(holdings, sources, strict=True):
        if source.slug in failed:
            end(holding, failed[source.slug])
        else:
            holding.finish(RunState.SUCCEEDED)


def _rebuild_all(holding: Holding) -> None:
    for source in remote.due(now=timezone.now()):
        for said in remote.look(source, progress=holding.progress):
            holding.note(said)
    for failure in regeneration.rebuild(holding.progress):
        holding.note(failure)
    holding.finish(RunState.SUCCEEDED)


def sweep_staging() -> None:
    """Remove what attempts that are over left in the staging folder."""
    layout: Layout = settings.LAYOUT
    for folder in layout.tmp.iterdir():
        run_id = folder.name[:36]
        if len(folder.name) > 37 and not _is_worked_on(run_id, folder.name):
            remove_folder(folder)


def _is_worked_on(run_id: str, name: str) -> bool:
    try:
        run = Run.objects.filter(pk=run_id).first()
    except ValidationError:
        return True
    return run is not None and run.state == RunState.RUNNING and staging(run).name == name
