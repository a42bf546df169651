"""Runs: asked for, claimed, cancelled, taken up again.

The row is the truth. A queued task is only a bell: when it is lost, rung twice, or its worker
is killed, the sweeper finds the row and rings again.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from access.models import User
from access.services import audit
from agnes_site.core.broker import QUEUE_ERRORS
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.failpoints import failpoint
from catalog.models import Source, Table
from catalog.services import versions
from extracts.models import Run, RunKind, RunState, RunTrigger
from extracts.models.moments import is_over

TASK = "extracts.tasks.execute_run"
_TRIES = 5
_AT_ONCE = 200
_REQUESTED_AT_ONCE = 500
# Runs that one worker does together.
_TOGETHER = 50
# A bell counts as lost when this many sweeps have come and gone since.
_FRESH_SWEEPS = 4
logger = structlog.get_logger(__name__)


class RunNotClaimedError(ConflictError):
    """Somebody else works on the run, it is over, or its source is busy."""

    code = "run_not_claimed"


class WorkerLostError(AgnesError):
    """Each worker that tried the run was lost, most likely because of its work."""

    code = "worker_lost"
    hint = "Look into the worker's log for what ends it; memory is the usual reason."


class RunFinishedError(ConflictError):
    """The run is over already."""

    code = "run_finished"


def request_run(
    *,
    by: User | None,
    table: Table | None = None,
    source: Source | None = None,
    kind: RunKind = RunKind.EXTRACT,
    trigger: RunTrigger = RunTrigger.MANUAL,
    is_full: bool = False,
) -> tuple[Run, bool]:
    """Ask for a run; return it and whether it is new.

    With ``is_full`` an incremental table is read in full, as if for the first time.
    What is queued or running already is returned: single flight; one that still waits becomes
    full where that is asked for. The task is sent after the commit.
    """
    owner = table.source if table is not None else source
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                run = Run.objects.create(
                    table=table,
                    source=owner,
                    kind=kind,
                    trigger=trigger,
                    requested_by=by,
                    is_full=is_full,
                )
                if by is not None:
                    audit.record(action=f"run.{kind}", resource=_subject(run), actor=by)
        except IntegrityError:
            there = Run.objects.open().filter(table=table, source=owner, kind=kind)
            _join(there, by=by, is_full=is_full)
            found = there.first()
            if found is not None:
                return found, False
            # It has ended between the two statements: now there is room for another.
            if not tries_left:
                raise
        else:
            break
    ring([run.pk])
    return run, True


def request_runs(
    *, tables: Sequence[Table], by: User | None, trigger: RunTrigger, is_full: bool = False
) -> list[tuple[Run, bool]]:
    """Ask for the extract of many tables; return what :func:`request_run` would, in their order.

    As many of a source are rung for as may run at once; these take the others along or ring for
    them.
    """
    asked: dict[UUID | None, tuple[Run, bool]] = {}
    for start in range(0, len(tables), _REQUESTED_AT_ONCE):
        some = tables[start : start + _REQUESTED_AT_ONCE]
        asked |= _requested(some, by=by, trigger=trigger, is_full=is_full)
    for table in tables:
        if table.pk not in asked:
            # Its run has ended between the two statements: now there is room for another.
            asked[table.pk] = request_run(table=table, by=by, trigger=trigger, is_full=is_full)
    return [asked[table.pk] for table in tables]


@transaction.atomic
def _requested(
    tables: Sequence[Table], *, by: User | None, trigger: RunTrigger, is_full: bool
) -> dict[UUID | None, tuple[Run, bool]]:
    wanted = [
        Run(table=table, source=table.source, trigger=trigger, requested_by=by, is_full=is_full)
        for table in tables
    ]
    Run.objects.bulk_create(wanted, ignore_conflicts=True)
    ids = [run.pk for run in wanted]
    made = set(Run.objects.filter(pk__in=ids).values_list("pk", flat=True))
    new = [run for run in wanted if run.pk in made]
    if by is not None:
        told = {_subject(run): {"run": str(run.pk)} for run in new}
        audit.record_each(action=f"run.{RunKind.EXTRACT}", after=told, actor=by)
    for source in {run.source_id: run.source for run in new}.values():
        ring_next(source)
    others = [run.table for run in wanted if run.pk not in made]
    there = Run.objects.open().filter(kind=RunKind.EXTRACT, table__in=others)
    _join(there, by=by, is_full=is_full)
    return {run.table_id: (run, True) for run in new} | {
        run.table_id: (run, False) for run in there
    }


def _join(found: QuerySet[Run], *, by: User | None, is_full: bool) -> None:
    """Let those of the runs that nobody has begun be what is asked for now as well."""
    waiting = found.filter(state=RunState.QUEUED)
    if is_full:
        waiting.update(is_full=True)
    if by is not None:
        waiting.filter(requested_by=None).update(requested_by=by)


def ring(run_ids: Iterable[UUID]) -> None:
    """Send the tasks of these runs once the present transaction is committed."""
    ids = list(run_ids)
    if not ids:
        return
    Run.objects.filter(pk__in=ids).update(rung_at=timezone.now())

    def send() -> None:
        failpoint("run.requested")
        try:
            for run_id in ids:
                current_app.send_task(TASK, kwargs={"run_id": str(run_id)}, queue="runs")
        except QUEUE_ERRORS:
            # The rows are there: the sweeper rings for them once the queue answers again.
            logger.exception("The queue takes no task", runs=len(ids))

    transaction.on_commit(send)


@transaction.atomic
def claim(run_id: UUID, *, worker: str) -> Run:
    """Take a queued run, or one whose worker fell silent, for this worker.

    The fencing number of its table is counted up, so that whoever held it before can no
    longer publish.

    Raises:
        RunNotClaimedError: another worker has it, it is over, or its source is busy.
    """
    now = timezone.now()
    free = Q(state=RunState.QUEUED) | (is_over("lease_until", now) & Q(state=RunState.RUNNING))
    run = Run.objects.filter(free, pk=run_id).first()
    if run is None:
        raise RunNotClaimedError("The run is worked on elsewhere, or over.")
    numbers = versions.take_fencings([run.table_id] if run.table_id else [])
    if run.source_id is not None and run.table_id in numbers:
        # Locked, so that two workers do not both take the last place; after the table, as a
        # publish does.
        source = Source.objects.select_for_update(no_key=True).get(pk=run.source_id)
        busy = Run.objects.filter(
            source=source, table__isnull=False, state=RunState.RUNNING, lease_until__gte=now
        ).exclude(pk=run.pk)
        # What one worker has taken along, it does one after the other.
        if busy.values("worker").distinct().count() >= source.concurrency:
            raise RunNotClaimedError("The source is busy; the run stays queued.")
    claimed = Run.objects.filter(free, pk=run_id).update(
        **_claimed(now, worker),
        fencing=numbers[run.table_id] if run.table_id in numbers else F("fencing") + 1,
        started_at=run.started_at or now,
    )
    if not claimed:
        raise RunNotClaimedError("The run was taken by another worker, or went with its table.")
    return _whole([run_id])[0]


@transaction.atomic
def claim_along(run: Run) -> list[Run]:
    """Take what waits and can be done together with a claimed run; return it, the oldest first.

    That is the extract of other tables of its source, or the rebuild of other sources. What was
    tried before goes alone: it may be what ends workers.
    """
    alike = Run.objects.filter(state=RunState.QUEUED, kind=run.kind, attempt=0)
    if run.attempt > 1 or run.source_id is None:
        return []
    if run.table_id is not None:
        alike = alike.filter(source=run.source_id, table__isnull=False)
        oldest = alike.order_by("queued_at").values_list("table", flat=True)[:_TOGETHER]
        alike = alike.filter(table__in=versions.lock(oldest, skip_locked=True))
    elif run.kind == RunKind.REBUILD:
        alike = alike.filter(source__isnull=False, table__isnull=True)
    else:
        return []
    waiting = alike.select_for_update(skip_locked=True).order_by("queued_at")[:_TOGETHER]
    tables = {each.pk: each.table_id for each in waiting}
    if not tables:
        return []
    now = timezone.now()
    numbers = versions.take_fencings(table for table in tables.values() if table is not None)
    of_table = Table.objects.filter(pk=OuterRef("table")).values("fencing")
    Run.objects.filter(pk__in=tables, state=RunState.QUEUED).update(
        **_claimed(now, run.worker),
        fencing=Subquery(of_table) if numbers else F("fencing") + 1,
        started_at=now,
    )
    return _whole(list(tables))


def _claimed(now: datetime, worker: str) -> dict[str, Any]:
    return {
        "state": RunState.RUNNING,
        "lease_until": now + timedelta(seconds=settings.CONFIG.run_lease_seconds),
        "worker": worker,
        "rung_at": None,
        "attempt": F("attempt") + 1,
        "phase": "starting",
        "done": 0,
        "total": None,
        "message": "",
    }


def _whole(ids: Sequence[UUID]) -> list[Run]:
    found = Run.objects.select_related(
        "table__source", "table__folder", "table__current_version", "source"
    ).in_bulk(ids)
    return [found[each] for each in ids if each in found]


@transaction.atomic
def cancel(*, run: Run, by: User | None) -> None:
    """End a run; a worker that is on it stops within seconds and publishes nothing.

    Raises:
        RunFinishedError: it is over already.
    """
    if run.table_id is not None:
        versions.take_fencings([run.table_id])
    ended = (
        Run.objects.open()
        .filter(pk=run.pk)
        .update(state=RunState.CANCELLED, finished_at=timezone.now(), lease_until=None)
    )
    if not ended:
        raise RunFinishedError("The run is over already.")
    audit.record(action="run.cancel", resource=_subject(run), actor=by)
    run.refresh_from_db()


def sweep() -> int:
    """Ring for every run that nobody works on; return how many were found.

    A run whose worker fell silent too often ends as failed: its work kills workers.
    """
    now = timezone.now()
    worn_out = Run.objects.abandoned().filter(attempt__gte=settings.CONFIG.run_attempts)
    worn_out.update(
        state=RunState.FAILED, finished_at=now, lease_until=None, error_code=WorkerLostError.code,
        error_message="The worker was lost each time this run was tried.",
        error_hint=WorkerLostError.hint,
    )  # fmt: skip
    found = [*_abandoned(now), *_unheard(now)]
    ring(found)
    return len(found)


def _abandoned(now: datetime) -> list[UUID]:
    """Return the runs whose worker fell silent, unless they were rung for since."""
    stale = now - _FRESH_SWEEPS * timedelta(seconds=settings.CONFIG.run_sweep_seconds)
    silent = Run.objects.abandoned().filter(Q(rung_at=None) | is_over("rung_at", stale))
    return list(silent.order_by("queued_at").values_list("pk", flat=True)[:_AT_ONCE])


def _unheard(now: datetime) -> list[UUID]:
    """Return the queued runs whose bell was lost, only as many of a source as may run at once.

    Those of a source that is busy are rung for when one of its runs ends.
    """
    stale = now - _FRESH_SWEEPS * timedelta(seconds=settings.CONFIG.run_sweep_seconds)
    running = Q(runs__state=RunState.RUNNING, runs__lease_until__gte=now, runs__table__isnull=False)
    at_work = Count("runs__worker", distinct=True, filter=running)
    queued = Source.objects.filter(runs__state=RunState.QUEUED).values("pk").distinct()
    counted = Source.objects.filter(pk__in=queued).annotate(at_work=at_work)
    # A source that had nothing queued just now has no place before it is counted again.
    places = Counter(
        {
            pk: total - taken
            for pk, total, taken in counted.values_list("pk", "concurrency", "at_work")
        }
    )
    busy = [pk for pk, free in places.items() if free <= 0]
    waiting = Run.objects.filter(
        is_over("rung_at", stale) | Q(rung_at=None) & is_over("queued_at", stale),
        state=RunState.QUEUED,
    ).exclude(source__in=busy, table__isnull=False)
    found = []
    for pk, source, table in waiting.order_by("queued_at").values_list("pk", "source", "table"):
        if table is not None:
            places[source] -= 1
            if places[source] < 0:
                continue
        found.append(pk)
        if len(found) == _AT_ONCE:
            break
    return found


def ring_next(source: Source | None) -> None:
    """Ring for the tables that waited for their source to be less busy."""
    if source is None:
        return
    waiting = Run.objects.filter(source=source, table__isnull=False, state=RunState.QUEUED)
    ring(waiting.order_by("queued_at").values_list("pk", flat=True)[: source.concurrency])


def worker_name() -> str:
    """Return how this worker is named in runs."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _subject(run: Run) -> str:
    if run.table is not None:
        return f"table/{run.table.name}"
    return f"source/{run.source.slug}" if run.source is not None else "everything"
