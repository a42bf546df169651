"""Tables of one source: brought by one child process, published together.

A child costs more than a small table, and so does a transaction. One table that fails, crashes
the child or takes long keeps no other from its readers: see :class:`_Batch`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import prefetch_related_objects

from agnes_site.core.config import Config
from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import Layout, remove_folder
from catalog.connectors import ColumnSpec, ExtractMode, QueryMode, SyncStrategy
from catalog.models import Source, Table
from catalog.services import secrets, versions
from catalog.services.versions import Committed, TablePinnedError
from extracts.engine import process
from extracts.engine.publish import ValidatedPart
from extracts.models import Run, RunState, RunTrigger
from extracts.services import finishing, publication, regeneration, runs, scheduling
from extracts.services.arguments import source_arguments, table_arguments
from extracts.services.ending import TableIsRemoteError, begin_again, end, ending
from extracts.services.holding import Holding
from extracts.services.publication import Candidate, Submission

# What is brought waits for as many others, or for as long, to be published with them.
_TOGETHER, _WAITING_SECONDS = 25, 0.5
# When a table takes longer than this, those behind it are left to other workers.
_PATIENCE_SECONDS = 5.0


def bring_tables(holdings: Sequence[Holding]) -> None:
    """Bring the tables of claimed runs, all of one source, and end the runs."""
    wanted = [holding for holding in holdings if _begin(holding)]
    if not wanted:
        return
    prefetch_related_objects([each.run for each in wanted], "table__current_version__parts")
    try:
        _Batch(wanted).bring()
    finally:
        for holding in wanted:
            remove_folder(staging(holding.run))


def staging(run: Run) -> Path:
    """Return the folder that one attempt of a run writes to, and no other."""
    layout: Layout = settings.LAYOUT
    return layout.tmp / f"{run.pk}-{run.fencing}-{run.attempt}"


def _begin(holding: Holding) -> bool:
    """Say whether the table is to be brought, and end the run if it is not."""
    run, table = holding.run, holding.run.table
    assert table is not None
    with ending(holding):
        if table.is_pinned:
            raise TablePinnedError(f"{table.name} is pinned; release it to let new versions in.")
        if table.query_mode == QueryMode.REMOTE:
            raise TableIsRemoteError(f"{table.name} is remote: its rows stay at its source.")
        if _is_paused(run, table):
            scheduling.put_off(table)
            holding.note("Paused while it waited; it is made up for when that ends.")
            holding.finish(RunState.SKIPPED)
            return False
        remove_folder(staging(run))
        staging(run).mkdir(parents=True)
        return True
    return False


def _is_paused(run: Run, table: Table) -> bool:
    """Say whether only the schedule wants a run whose table or source was paused since."""
    by_itself = run.trigger == RunTrigger.SCHEDULE and run.requested_by_id is None
    return by_itself and (table.is_paused or table.source.is_paused)


class _Batch:
    """Runs of tables of one source, one after the other."""

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self.holdings = list(holdings)
        self.source = _table(holdings[0].run).source
        self._brought: list[tuple[Holding, Mapping[str, Any]]] = []
        self._waiting_since = 0.0
        self._at_work_since: float | None = None

    def bring(self) -> None:
        with closing(self._outcomes()) as outcomes:
            for holding, outcome in zip(self.holdings, outcomes, strict=False):
                if isinstance(outcome, AgnesError):
                    end(holding, outcome)
                else:
                    self._take(holding, outcome)
                self._at_work_since = None
                if holding is self.holdings[-1]:
                    break
        self._publish()

    def _outcomes(self) -> Generator[Any, None, None]:
        return process.run_each(
            _job(self.source),
            [_arguments(holding.run) for holding in self.holdings],
            progress=lambda done: self.holdings[done].progress,
            should_stop=self._should_stop,
        )

    def _take(self, holding: Holding, answer: Mapping[str, Any]) -> None:
        for note in answer["notes"]:
            holding.note(note)
        if not self._brought:
            self._waiting_since = time.monotonic()
        self._brought.append((holding, answer))
        if len(self._brought) >= _TOGETHER:
            self._publish()
        else:
            self._publish_what_waits()

    def _should_stop(self, done: int) -> bool:
        self._publish_what_waits()
        self.holdings[done].tell()
        now = time.monotonic()
        self._at_work_since = self._at_work_since or now
        if now - self._at_work_since > _PATIENCE_SECONDS:
            self._leave_to_others(self.holdings[done + 1 :])
            del self.holdings[done + 1 :]
        return self.holdings[done].is_lost

    def _leave_to_others(self, holdings: Sequence[Holding]) -> None:
        for holding in holdings:
            holding.let_go()
            remove_folder(staging(holding.run))
        if holdings:
            runs.ring_next(self.source)

    def _publish_what_waits(self) -> None:
        if self._brought and time.monotonic() - self._waiting_since > _WAITING_SECONDS:
            self._publish()

    def _publish(self) -> None:
        brought = [(each, answer) for each, answer in self._brought if not each.is_lost]
        lost = [each for each, _ in self._brought if each.is_lost]
        self._brought = []
        for holding in lost:
            begin_again(holding)
        new = [(each, answer) for each, answer in brought if not answer["is_unchanged"]]
        for holding, _ in new:
            holding.progress("publish", message="Storing and publishing.")
        outcomes = publication.publish_all([_submission(*each) for each in new])
        for holding, _ in brought:
            remove_folder(staging(holding.run))
        failpoint("publish.staging_removed")
        for (holding, _), outcome in zip(new, outcomes, strict=True):
            if isinstance(outcome, Exception):
                end(holding, outcome)
        committed = [
            (holding, outcome)
            for (holding, _), outcome in zip(new, outcomes, strict=True)
            if isinstance(outcome, Committed)
        ]
        with transaction.atomic():
            versions.lock(_table(holding.run).pk for holding, _ in brought)
            finishing.stay([holding for holding, answer in brought if answer["is_unchanged"]])
            finishing.succeed(committed)
            if any(outcome.is_new for _, outcome in committed):
                regeneration.request(self.source)


def _job(source: Source) -> process.Job:
    config: Config = settings.CONFIG
    return process.Job(
        function="extracts.connectors.work:extract",
        arguments={
            **source_arguments(source),
            "combined_max_bytes": config.combined_max_bytes,
        },
        secrets=secrets.secrets_of(source),
        memory_bytes=config.run_memory_bytes,
        timeout_seconds=config.run_timeout_seconds,
        failpoint=failpoint_of(config),
    )


def _arguments(run: Run) -> dict[str, Any]:
    table = _table(run)
    stored = publication.stored_paths(table)
    state = {} if run.is_full else _state(table, [path for _, path in stored])
    return {
        "table": table_arguments(table),
        "runs_sql": table.query_mode == QueryMode.MATERIALIZED,
        "mode": _mode(run, table, state),
        "state": state,
        "drift_policy": table.drift_policy,
        "current_parts": [[key, str(path)] for key, path in stored],
        "folder": str(staging(run)),
    }


def _mode(run: Run, table: Table, state: Mapping[str, Any]) -> ExtractMode:
    """Return how much a run brings: everything, unless the table is incremental and has a state."""
    wants_changes = table.sync_strategy == SyncStrategy.INCREMENTAL and not run.is_full
    return ExtractMode.INCREMENTAL if wants_changes and state else ExtractMode.FULL


def _state(table: Table, stored: Sequence[Path]) -> dict[str, Any]:
    """Return what the connector knew after the version in service.

    It is nothing where the store has lost a file, so that the source is read anew.
    """
    version = table.current_version
    if version is None or not all(path.is_file() for path in stored):
        return {}
    state: dict[str, Any] = version.extract_state
    return state


def failpoint_of(config: Config) -> Mapping[str, str]:
    """Return what a child must know to end at the configured failpoint."""
    if not config.failpoint:
        return {}
    return {"name": config.failpoint, "once": str(config.failpoint_once or "")}


def _submission(holding: Holding, answer: Mapping[str, Any]) -> Submission:
    combined, set_aside = answer["combined"], answer["rejected"]
    candidate = Candidate(
        parts=[_part(part) for part in answer["parts"]],
        removed_parts=answer["removed_parts"],
        is_complete=answer["is_complete"],
        state=answer["state"],
        combined=_part(combined) if combined else None,
        rejected=Path(set_aside["path"]) if set_aside else None,
    )
    return Submission(table=_table(holding.run), run=holding.run, candidate=candidate)


def _part(given: Mapping[str, Any]) -> ValidatedPart:
    columns = tuple(ColumnSpec(**column) for column in given["columns"])
    return ValidatedPart(**{**given, "path": Path(given["path"]), "columns": columns})


def _table(run: Run) -> Table:
    assert run.table is not None, "A run of the source as a whole brings no table."
    return run.table
