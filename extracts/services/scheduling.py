"""Schedules kept: what is due gets a run, what failed upstream gets another try."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.storage import StorageFailedError, StorageFullError
from catalog.models import Source, Table
from catalog.services import timing
from catalog.services.timing import Due
from extracts.engine.process import ChildCrashedError, ChildTimeoutError
from extracts.models import Run, RunKind, RunTrigger
from extracts.services import runs

# Runs that one look makes; the next look makes the rest.
AT_ONCE = 500
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
# However long the other side asks for.
_LONGEST_ASKED = timedelta(days=1)
logger = structlog.get_logger(__name__)


def start_due(*, now: datetime) -> list[Run]:
    """Make a run for each table that is due, and ring for those that can start; return them.

    Safe to call twice at once: a slot has one run, by constraint, and so has a table.
    """
    busy = set(
        Run.objects.open().filter(kind=RunKind.EXTRACT, table__isnull=False)
        .values_list("table_id", flat=True)
    )  # fmt: skip
    waiting = (due for due in timing.due_tables(now) if due.table_id not in busy)
    found = list(islice(waiting, AT_ONCE))
    return _start(found) if found else []


@transaction.atomic
def _start(found: Sequence[Due]) -> list[Run]:
    wanted = [
        Run(
            table_id=due.table_id, source_id=due.source_id, kind=RunKind.EXTRACT,
            trigger=RunTrigger.SCHEDULE, due_at=due.slot,
        )
        for due in found
    ]  # fmt: skip
    Run.objects.bulk_create(wanted, ignore_conflicts=True)
    made = list(Run.objects.filter(pk__in=[run.pk for run in wanted]))
    started = {run.table_id for run in made}
    _remember([due for due in found if due.table_id in started])
    runs.ring(run.pk for run in _first_of_each_source(made))
    if made:
        logger.info("Tables are due", runs=len(made))
    return made


def _remember(found: Sequence[Due]) -> None:
    tables = Table.objects.in_bulk([due.table_id for due in found])
    for due in found:
        table = tables[due.table_id]
        table.retry_at = None
        table.retries = table.retries + 1 if due.is_retry else 0
        table.slot_at = table.slot_at if due.is_retry else due.slot
    fields = ["slot_at", "retry_at", "retries"]
    Table.objects.bulk_update(tables.values(), fields, batch_size=200)


def _first_of_each_source(made: Iterable[Run]) -> list[Run]:
    """Return as many runs of each source as may run at once; the others are rung for by these."""
    ordered = sorted(made, key=lambda run: (run.due_at or run.queued_at, run.queued_at))
    sources = {run.source_id for run in ordered}
    places = dict(Source.objects.filter(pk__in=sources).values_list("pk", "concurrency"))
    taken: Counter[object] = Counter()
    first = []
    for run in ordered:
        taken[run.source_id] += 1
        if run.source_id is not None and taken[run.source_id] <= places[run.source_id]:
            first.append(run)
    return first


def record_success(*succeeded: Run) -> None:
    """Count the schedules of tables from runs that succeeded, whoever asked for them."""
    tables: dict[tuple[datetime, bool], list[UUID]] = defaultdict(list)
    for run in succeeded:
        if run.table_id is not None:
            is_extra = run.trigger != RunTrigger.SCHEDULE
            tables[run.started_at or timezone.now(), is_extra].append(run.table_id)
    for (began, is_extra), found in tables.items():
        fields = {"last_success_at": began, "retry_at": None, "retries": 0}
        if is_extra:
            fields["slot_at"] = began
        Table.objects.filter(pk__in=found).update(**fields)


def record_failure(run: Run, error: AgnesError) -> datetime | None:
    """Plan another try of a scheduled run that failed for a while, and return when that is.

    A failure of any other kind, and one too many, waits for the next slot.
    """
    if run.trigger != RunTrigger.SCHEDULE or run.table is None or not _may_pass(error):
        return None
    tries = Table.objects.values_list("retries", flat=True).get(pk=run.table.pk)
    if tries >= settings.CONFIG.run_retries:
        return None
    asked = timedelta(seconds=getattr(error, "retry_after", None) or 0)
    pause = max(min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE), min(asked, _LONGEST_ASKED))
    # Put off a little, each table by its own share: not all of a source come back at once.
    again: datetime = timezone.now() + pause * (1 + timing.share(run.table.pk) / 4)
    Table.objects.filter(pk=run.table.pk).update(retry_at=again)
    return again


def put_off(table: Table) -> None:
    """Let a table whose turn was passed over have it as soon as it may run by itself again."""
    Table.objects.filter(pk=table.pk).update(retry_at=timezone.now())


def _may_pass(error: AgnesError) -> bool:
    """Say whether the other side failed, or a disk that may be mended meanwhile.

    What ended our own process would end it again.
    """
    if error.code in (StorageFullError.code, StorageFailedError.code):
        return True
    return isinstance(error, UpstreamError) and not isinstance(
        error, ChildCrashedError | ChildTimeoutError
    )
