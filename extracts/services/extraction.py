"""Doing a run: the connector in a child process, then publish, then the faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from agnes_site.core import human
from agnes_site.core.config import Config
from agnes_site.core.database import DatabaseUnavailableError
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import (
    Layout,
    as_database_error,
    as_storage_error,
    remove_folder,
)
from catalog import connectors
from catalog.connectors import ColumnSpec, ExtractMode, QueryMode, SyncStrategy
from catalog.models import Table
from catalog.services import secrets
from catalog.services.versions import FencedOffError, TablePinnedError
from extracts.engine import process
from extracts.engine.process import ChildStoppedError
from extracts.engine.publish import ValidatedPart
from extracts.models import Run, RunKind, RunOutcome, RunState, RunTrigger
from extracts.services import (
    damage,
    publication,
    regeneration,
    rejected,
    remote,
    runs,
    scanning,
    scheduling,
)
from extracts.services.arguments import source_arguments, table_arguments
from extracts.services.publication import Candidate
from extracts.services.runs import Holding, LeaseLostError

logger = structlog.get_logger(__name__)


class UnexpectedFailureError(AgnesError):
    """Something that nobody foresaw; the log of the worker has it."""

    code = "internal_error"
    hint = "The log of the worker has the details; the run is worth another try."


class TableIsRemoteError(ConflictError):
    """The rows of a remote table stay at its source: nothing of it is extracted."""

    code = "table_is_remote"
    hint = "Make it a local table to bring its rows."


def execute(run: Run) -> None:
    """Do a claimed run to its end; failures end up in its row, not in the caller."""
    with runs.hold(run) as holding:
        try:
            _WORK[RunKind(run.kind)](holding)
        except (FencedOffError, LeaseLostError, ChildStoppedError):
            _begin_again(holding)
        except (TablePinnedError, TableIsRemoteError) as error:
            holding.finish(RunState.SKIPPED, error_code=error.code, error_message=error.message)
        except AgnesError as error:
            _fail(holding, error)
        except OSError as error:
            logger.exception("A run could not read or write a file", run=str(run.pk))
            _fail(holding, as_storage_error(error))
        except OperationalError as error:
            logger.exception("The database failed a run", run=str(run.pk))
            connection.close_if_unusable_or_obsolete()
            trouble = as_database_error(error)
            if trouble is not None:
                _fail(holding, trouble)
            elif not runs.give_back(holding):
                runs.fail(holding, DatabaseUnavailableError("The database did not do its part."))
        except Exception as error:
            unforeseen = UnexpectedFailureError("The run failed unexpectedly.")
            runs.fail(holding, as_database_error(error) or unforeseen)
            raise
        finally:
            failpoint("run.finished")
            runs.ring_next(run.source)


def _begin_again(holding: Holding) -> None:
    """Let a run that may not publish begin anew, unless it is another worker's or over by now."""
    holding.note("The table was changed meanwhile: what was read of it is not published.")
    holding.put_back()


def _fail(holding: Holding, error: AgnesError) -> None:
    if not holding.beat():
        _begin_again(holding)
        return
    run = holding.run
    if run.table is not None and _needs_a_person(error):
        publication.hold(table=run.table, error=error)
    again = scheduling.record_failure(run, error)
    if again is not None:
        holding.note(f"The next try is at {again:%H:%M:%S} UTC.")
    runs.fail(holding, error)


def _needs_a_person(error: AgnesError) -> bool:
    """Say whether the data or the settings have to be mended before another try can work."""
    return 400 <= error.status < 500


def _extract(holding: Holding) -> None:
    run = holding.run
    if run.table is None:
        scanning.bring_source(holding)
        return
    if run.table.is_pinned:
        raise TablePinnedError(f"{run.table.name} is pinned; release it to let new versions in.")
    if run.table.query_mode == QueryMode.REMOTE:
        raise TableIsRemoteError(f"{run.table.name} is remote: its rows stay at its source.")
    if _is_paused(run, run.table):
        scheduling.put_off(run.table)
        holding.note("Paused while it waited; it is made up for when that ends.")
        holding.finish(RunState.SKIPPED)
        return
    folder = staging(run)
    remove_folder(folder)
    folder.mkdir(parents=True)
    try:
        answer = process.run(
            _job(run, run.table, folder),
            progress=holding.progress,
            should_stop=lambda: holding.is_lost,
        )
        for note in answer["notes"]:
            holding.note(note)
        holding.beat()
        holding.check()
        if answer["is_unchanged"]:
            holding.note("Nothing new at the source.")
            if run.table.current_version and run.table.current_version.run_id != run.pk:
                rejected.forget(run)
            _succeed(holding, run.table, outcome=RunOutcome.UNREAD)
            return
        holding.progress("publish", message="Storing and publishing.")
        candidate = _candidate(answer)
        version, is_new = publication.publish(table=run.table, run=run, candidate=candidate)
    finally:
        remove_folder(folder)
    failpoint("publish.staging_removed")
    if set_aside := rejected.count(run):
        holding.note(f"Set aside {human.plural(set_aside, 'row')} that could not be read.")
    holding.note(
        f"Published version {version.number}: {version.rows:,} rows, {version.bytes:,} bytes."
        if is_new
        else f"The same bytes as version {version.number}: nothing moves."
    )
    if is_new and run.source is not None:
        regeneration.request(run.source)
    run.table.refresh_from_db()
    outcome = RunOutcome.NEW if is_new else RunOutcome.SAME
    _succeed(holding, run.table, outcome=outcome)


def _is_paused(run: Run, table: Table) -> bool:
    """Say whether only the schedule wants a run whose table or source was paused since."""
    by_itself = run.trigger == RunTrigger.SCHEDULE and run.requested_by_id is None
    return by_itself and (table.is_paused or table.source.is_paused)


@transaction.atomic
def _succeed(holding: Holding, table: Table, *, outcome: RunOutcome) -> None:
    publication.end_hold(table)
    damage.on_extracted(table)
    version = table.current_version
    is_ours = holding.finish(
        RunState.SUCCEEDED,
        rows=version.rows if version else 0,
        bytes=version.bytes if version else 0,
        version_number=version.number if version else None,
        # Also of an attempt before this one, which had published when it was ended.
        rejected_rows=rejected.count(holding.run),
        outcome=outcome,
    )
    if is_ours:
        scheduling.record_success(holding.run)


def _rebuild(holding: Holding) -> None:
    source = holding.run.source
    for each in remote.due(now=timezone.now()) if source is None else [source]:
        for said in remote.look(each, progress=holding.progress):
            holding.note(said)
    if source is None:
        for failure in regeneration.rebuild(holding.progress):
            holding.note(failure)
    else:
        regeneration.rebuild_source(source, holding.progress)
    holding.finish(RunState.SUCCEEDED)


def _unsupported(holding: Holding) -> None:
    raise connectors.UnsupportedCapabilityError(
        f"Runs of kind {holding.run.kind} are not part of this release."
    )


_WORK = {
    RunKind.EXTRACT: _extract,
    RunKind.REBUILD: _rebuild,
    RunKind.PUBLISH: _unsupported,
    RunKind.PROFILE: _unsupported,
}


def staging(run: Run) -> Path:
    """Return the folder that one attempt of a run writes to, and no other."""
    layout: Layout = settings.LAYOUT
    return layout.tmp / f"{run.pk}-{run.fencing}-{run.attempt}"


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


def _job(run: Run, table: Table, folder: Path) -> process.Job:
    config: Config = settings.CONFIG
    source = table.source
    state = {} if run.is_full else _state(table)
    return process.Job(
        function="extracts.connectors.work:extract",
        arguments={
            **source_arguments(source),
            "table": table_arguments(table),
            "runs_sql": table.query_mode == QueryMode.MATERIALIZED,
            "mode": _mode(run, table, state),
            "state": state,
            "drift_policy": table.drift_policy,
            "current_parts": [[key, str(path)] for key, path in publication.stored_paths(table)],
            "combined_max_bytes": config.combined_max_bytes,
            "folder": str(folder),
        },
        secrets=secrets.secrets_of(source),
        memory_bytes=config.run_memory_bytes,
        timeout_seconds=config.run_timeout_seconds,
        failpoint=failpoint_of(config),
    )


def _mode(run: Run, table: Table, state: Mapping[str, Any]) -> ExtractMode:
    """Return how much a run brings: everything, unless the table is incremental and has a state."""
    wants_changes = table.sync_strategy == SyncStrategy.INCREMENTAL and not run.is_full
    return ExtractMode.INCREMENTAL if wants_changes and state else ExtractMode.FULL


def _state(table: Table) -> dict[str, Any]:
    """Return what the connector knew after the version in service.

    It is nothing where the store has lost a file, so that the source is read anew.
    """
    version = table.current_version
    if version is None or not all(path.is_file() for _, path in publication.stored_paths(table)):
        return {}
    state: dict[str, Any] = version.extract_state
    return state


def failpoint_of(config: Config) -> Mapping[str, str]:
    """Return what a child must know to end at the configured failpoint."""
    if not config.failpoint:
        return {}
    return {"name": config.failpoint, "once": str(config.failpoint_once or "")}


def _candidate(answer: Mapping[str, Any]) -> Candidate:
    combined = answer["combined"]
    set_aside = answer["rejected"]
    return Candidate(
        parts=[_part(part) for part in answer["parts"]],
        removed_parts=answer["removed_parts"],
        is_complete=answer["is_complete"],
        state=answer["state"],
        combined=_part(combined) if combined else None,
        rejected=Path(set_aside["path"]) if set_aside else None,
    )


def _part(given: Mapping[str, Any]) -> ValidatedPart:
    columns = tuple(ColumnSpec(**column) for column in given["columns"])
    return ValidatedPart(**{**given, "path": Path(given["path"]), "columns": columns})
