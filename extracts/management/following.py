"""Runs that a command has asked for, watched until they are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice

from django.core.management.base import CommandError
from django.db.models import QuerySet

from agnes_site.core import human
from catalog.models import Source, Table
from catalog.services import registry
from extracts.models import Run, RunState, RunTrigger
from extracts.services import runs

_POLL_SECONDS = 0.5
_AT_ONCE = 500


def request(source: Source, names: Sequence[str], *, is_full: bool) -> list[str]:
    """Ask for runs of the named tables of a source, or of all of them; return their ids.

    Raises:
        TableNotFoundError: the source has no such table, or only a remote one.
        CommandError: a table is worked on already, and not in full.
    """
    tables = Table.objects.with_copies().filter(source=source).select_related("source")
    chosen = [_named(name, tables) for name in dict.fromkeys(names)] if names else list(tables)
    asked = runs.request_runs(tables=chosen, by=None, trigger=RunTrigger.MANUAL, is_full=is_full)
    for table, (run, _) in zip(chosen, asked, strict=True):
        if is_full and not run.is_full:
            raise CommandError(
                f"{table} is being extracted, but not in full. Ask again when that run is over."
            )
    return [str(run.pk) for run, _ in asked]


def _named(name: str, tables: QuerySet[Table]) -> Table:
    try:
        return registry.find_table(name, among=tables)
    except registry.TableNotFoundError as error:
        raise registry.TableNotFoundError(
            error.message,
            hint="`manage.py source discover` lists the tables of a source, with the names under "
            "which they are registered.",
        ) from error


def follow(run_ids: Sequence[str], *, tell: Callable[[str], object]) -> None:
    """Wait for runs and tell of each how it ended.

    Raises:
        CommandError: one failed, or nobody wants to wait any more.
    """
    try:
        failed = _watch(run_ids, tell=tell)
    except KeyboardInterrupt:
        raise CommandError("\nNo longer waiting; the runs go on.", returncode=130) from None
    if failed:
        raise CommandError(f"{human.plural(failed, 'run')} did not succeed.")


def _watch(run_ids: Sequence[str], *, tell: Callable[[str], object]) -> int:
    waiting, failed, told = set(run_ids), 0, ""
    if len(waiting) > 1:
        tell(f"Waiting for {human.plural(len(waiting), 'run')}.")
    while waiting:
        looked_at = set(islice(waiting, _AT_ONCE))
        found = Run.objects.filter(pk__in=looked_at).select_related("table")
        for run in found:
            looked_at.discard(str(run.pk))
            if run.is_open:
                line = f"{run.table}: {run.phase or 'waiting for a worker'} {run.message}".strip()
                if len(waiting) == 1 and line != told:
                    tell(told := line)
                continue
            waiting.discard(str(run.pk))
            failed += run.state != RunState.SUCCEEDED
            tell(_ended(run))
        if looked_at:
            waiting -= looked_at
            failed += len(looked_at)
            tell(f"{human.plural(len(looked_at), 'run')} went with a table that was unregistered.")
        if waiting:
            time.sleep(_POLL_SECONDS)
    return failed


def _ended(run: Run) -> str:
    if run.state == RunState.SUCCEEDED:
        return f"{run.table}: {human.plural(run.rows or 0, 'row')}, {human.size(run.bytes)}"
    return f"{run.table}: {run.get_state_display().lower()}. {run.error_message} {run.error_hint}"
