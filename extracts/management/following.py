"""Runs that a command has asked for, watched until they are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django.core.management.base import CommandError

from agnes_site.core import human
from catalog.connectors import QueryMode
from catalog.models import Source, Table
from catalog.services import registry
from extracts.models import Run, RunState
from extracts.services import runs

_POLL_SECONDS = 0.5


def request(source: Source, names: Sequence[str]) -> list[str]:
    """Ask for runs of the named tables of a source, or of all of them; return their ids.

    Raises:
        TableNotFoundError: the source has no such table.
    """
    tables = Table.objects.filter(source=source)
    chosen = (
        [registry.find_table(name, among=tables) for name in names]
        if names
        else list(tables.exclude(query_mode=QueryMode.REMOTE).select_related("source"))
    )
    return [str(runs.request_run(table=table, by=None)[0].pk) for table in chosen]


def follow(run_ids: Sequence[str], *, tell: Callable[[str], object]) -> None:
    """Wait for runs and tell of each how it ended.

    Raises:
        CommandError: one failed.
    """
    waiting, failed, told = set(run_ids), 0, ""
    while waiting:
        for run in Run.objects.filter(pk__in=list(waiting)[:500]).select_related("table"):
            if run.is_open:
                line = f"{run.table}: {run.phase or 'waiting for a worker'} {run.message}".strip()
                if len(waiting) == 1 and line != told:
                    tell(told := line)
                continue
            waiting.discard(str(run.pk))
            failed += run.state != RunState.SUCCEEDED
            tell(_ended(run))
        if waiting:
            time.sleep(_POLL_SECONDS)
    if failed:
        raise CommandError(f"{human.plural(failed, 'run')} did not succeed.")


def _ended(run: Run) -> str:
    if run.state == RunState.SUCCEEDED:
        return f"{run.table}: {human.number(run.rows)} rows, {human.size(run.bytes)}"
    return f"{run.table}: {run.get_state_display().lower()}. {run.error_message} {run.error_hint}"
