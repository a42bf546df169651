"""The end of runs that succeeded, said of many tables at once.

Call it inside of a transaction that has locked the tables. A run that is not ours any more is
left as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from agnes_site.core import human
from catalog.models import TableVersion
from catalog.services.versions import Committed
from extracts.models import Run, RunOutcome, RunState
from extracts.services import damage, publication, rejected, scheduling
from extracts.services.ending import begin_again
from extracts.services.holding import Holding

# What may be different for each run at its end.
_OWN = ("done", "total", "log", "rows", "bytes", "version_number", "rejected_rows", "outcome")


@dataclass(frozen=True, kw_only=True)
class _Success:
    holding: Holding
    version: TableVersion | None
    rejected_rows: int
    outcome: RunOutcome


def stay(holdings: Collection[Holding]) -> None:
    """End runs whose source has nothing new, those that may publish; the others begin again."""
    kept = _ours(holdings, among=Run.objects.filter(table__fencing=F("fencing")))
    for holding in holdings:
        if holding not in kept:
            holding.lose()
            begin_again(holding)
    _end(_unchanged(holding) for holding in kept)


def succeed(brought: Iterable[tuple[Holding, Committed]]) -> None:
    """End runs whose candidates were committed."""
    _end(_brought(holding, committed) for holding, committed in brought)


def _unchanged(holding: Holding) -> _Success:
    table = holding.run.table
    version = table.current_version if table is not None else None
    holding.note("Nothing new at the source.")
    rejected.forget_unpublished(holding.run, version.extract_state if version else {})
    # Also of an attempt before this one, which had published when it was ended.
    set_aside = rejected.count(holding.run)
    return _Success(
        holding=holding, version=version, rejected_rows=set_aside, outcome=RunOutcome.UNREAD
    )


def _brought(holding: Holding, committed: Committed) -> _Success:
    version, set_aside = committed.version, rejected.count(holding.run)
    if set_aside:
        holding.note(f"Set aside {human.plural(set_aside, 'row')} that could not be read.")
    holding.note(
        f"Published version {version.number}: {version.rows:,} rows, {version.bytes:,} bytes."
        if committed.is_new
        else f"The same bytes as version {version.number}: nothing moves."
    )
    return _Success(
        holding=holding, version=version, rejected_rows=set_aside,
        outcome=RunOutcome.NEW if committed.is_new else RunOutcome.SAME,
    )  # fmt: skip


def _end(succeeded: Iterable[_Success]) -> None:
    ended = list(succeeded)
    if not ended:
        return
    tables = [each.holding.run.table for each in ended if each.holding.run.table is not None]
    publication.end_hold(tables)
    damage.on_extracted(tables)
    ours = _ours([each.holding for each in ended], among=Run.objects.all())
    for each in ended:
        _say(each)
    _write([holding.run for holding in ours])
    # Not before: a run whose end is not committed is to be given back.
    transaction.on_commit(lambda: _close(ended))
    scheduling.record_success(*(holding.run for holding in ours))


def _write(runs: Sequence[Run]) -> None:
    values = {field: {getattr(run, field) for run in runs} for field in _OWN}
    shared = {field: found.pop() for field, found in values.items() if len(found) == 1}
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(
        state=RunState.SUCCEEDED, finished_at=timezone.now(), lease_until=None, phase="",
        message="", **shared,
    )  # fmt: skip
    different = [field for field in _OWN if field not in shared]
    if runs and different:
        Run.objects.bulk_update(runs, different)


def _say(success: _Success) -> None:
    run, version = success.holding.run, success.version
    run.state, run.outcome = RunState.SUCCEEDED, success.outcome
    run.rows, run.bytes = (version.rows, version.bytes) if version else (0, 0)
    run.version_number = version.number if version else None
    run.rejected_rows = success.rejected_rows


def _close(ended: Iterable[_Success]) -> None:
    for success in ended:
        success.holding.is_over = True


def _ours(holdings: Collection[Holding], *, among: QuerySet[Run]) -> Sequence[Holding]:
    """Return those whose runs nobody has taken over or ended; nobody can before this is over."""
    running = among.filter(pk__in=[each.run.pk for each in holdings], state=RunState.RUNNING)
    # In one order: two who lock several wait for each other instead of for ever.
    locked = running.select_for_update(of=("self",)).order_by("pk")
    claims = set(locked.values_list("pk", "fencing", "attempt")) if holdings else set()
    return [
        each for each in holdings if (each.run.pk, each.run.fencing, each.run.attempt) in claims
    ]
