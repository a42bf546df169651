"""Runs: asked for, looked at, followed, ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import close_old_connections
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from ninja import Body, Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from access.services import audit
from agnes_site.core.errors import ConflictError, InvalidInputError, NotFoundError
from agnes_site.core.paging import LARGEST_OFFSET
from catalog.connectors import QueryMode
from catalog.models import Table
from catalog.services import registry
from extracts.models import Run, RunTrigger
from extracts.services import rejected, runs, scanning

admin_router = Router(tags=["runs"])
status_router = Router(tags=["runs"])

STREAM_SECONDS = 25
_POLL_SECONDS = 0.5
_RETRY_MS, _RETRY_WITHOUT_PLACE_MS = 500, 3000
# A stream holds a thread of the web process: most of them stay free for everybody else. Who
# finds no place is told once how the run is, and asks again.
_places = threading.BoundedSemaphore(max(1, settings.CONFIG.web_threads // 4))


class RunNotFoundError(NotFoundError):
    """There is no such run."""

    code = "run_not_found"


class SyncInProgressError(ConflictError):
    """Everything that was asked for is running already."""

    code = "sync_already_in_progress"
    hint = "Follow the runs that are listed, or ask again when they are done."


class TriggerInvalidError(InvalidInputError):
    """The body is neither empty, a list of names, nor an object with `tables`."""

    code = "trigger_invalid"
    hint = 'Send nothing for all tables, or `{"tables": ["orders"]}`.'


class RunOut(Schema):
    """One run."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "5f1c8a52-3d3e-4f6e-9a58-0f6b2f0f7c10", "table": "orders", "source": "shop",
                "kind": "extract", "trigger": "api", "state": "running", "phase": "extract",
                "done": 400_000, "total": 1_000_000, "message": "", "rows": None, "bytes": None,
                "rejected_rows": 0, "version": None, "attempt": 1, "error": None,
                "queued_at": "2026-01-01T08:00:00Z", "started_at": "2026-01-01T08:00:01Z",
                "finished_at": None,
            }
        }
    )  # fmt: skip

    id: UUID
    table: str | None
    source: str | None
    kind: str
    trigger: str
    state: str = Field(description="queued, running, succeeded, failed, cancelled or skipped.")
    phase: str
    done: int
    total: int | None
    message: str
    rows: int | None
    bytes: int | None
    rejected_rows: int = Field(description="Rows that could not be read and were set aside.")
    version: int | None
    attempt: int
    error: dict[str, str] | None = Field(description="code, message and hint of a failed run.")
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @staticmethod
    def resolve_table(run: Run) -> str | None:
        return run.table.name if run.table else None

    @staticmethod
    def resolve_source(run: Run) -> str | None:
        return run.source.slug if run.source else None

    @staticmethod
    def resolve_version(run: Run) -> int | None:
        return run.version_number

    @staticmethod
    def resolve_error(run: Run) -> dict[str, str] | None:
        if not run.error_code:
            return None
        return {"code": run.error_code, "message": run.error_message, "hint": run.error_hint}


class RunsIn(Schema):
    """Which runs to list."""

    limit: int = Field(50, description="How many; at least 1, at most 500.")
    offset: int = Field(
        0, ge=0, le=LARGEST_OFFSET, description="How many to leave out at the beginning."
    )
    id: list[UUID] = Field(
        default_factory=list, max_length=100, description="Only these; may be given several times."
    )


class RejectedRowOut(Schema):
    """One row that could not be read."""

    file: str = Field(description="Name of the file, as the source has it.")
    row: int = Field(description="Its number in the file, from 1, the header included.")
    column: str = Field(description="The column that is wrong; empty if it is the whole row.")
    reason: str = Field(description="What is wrong with it.")
    text: str = Field(description="The row as it is in the file, cut after 1 000 characters.")


class RejectedIn(Schema):
    """How many rows to list."""

    limit: int = Field(100, description="How many; at least 1, at most 1 000.")


class RunDetailOut(RunOut):
    """One run with its log."""

    log: str = Field(description="Its beginning and its newest lines.")


class TriggerIn(Schema):
    """How tables are extracted."""

    full: bool = Field(False, description="Whether incremental tables are read in full.")


class TriggeredOut(Schema):
    """The runs that were asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "triggered",
                "tables": ["orders"],
                "message": "1 run was started.",
                "runs": [{"id": "5f1c…", "table": "orders", "state": "queued", "is_new": True}],
            }
        }
    )

    status: str
    tables: list[str]
    message: str
    runs: list[dict[str, Any]] = Field(description="id, table, state, is_new of each run.")


class StatusOut(Schema):
    """Whether work is going on."""

    locked: bool = Field(description="Whether there is any such run.")
    queued: int = Field(description="Runs that wait.")
    running: int = Field(description="Runs that a worker is on.")


@status_router.get("/sync/status", response=StatusOut, operation_id="get_sync_status")
def get_sync_status(request: HttpRequest) -> StatusOut:
    """Say whether runs are queued or running. Public: it tells no names."""
    states = list(Run.objects.open().values_list("state", flat=True))
    running = states.count("running")
    return StatusOut(locked=bool(states), queued=len(states) - running, running=running)


@admin_router.post("/sync/trigger", response=TriggeredOut, operation_id="trigger_sync")
def trigger_sync(
    request: AuthedRequest, how: Query[TriggerIn], wanted: Body[Any] = None
) -> TriggeredOut:
    """Extract tables now: all of them, or the named ones.

    What is queued or running already is returned as it is.
    """
    asked = [
        (
            table,
            *runs.request_run(
                table=table, by=request.user, trigger=RunTrigger.API, is_full=how.full
            ),
        )
        for table in _tables(_names(wanted))
    ]
    described = [
        {"id": str(run.pk), "table": table.name, "state": run.state, "is_new": is_new}
        for table, run, is_new in asked
    ]
    new = sum(is_new for _, _, is_new in asked)
    if asked and not new:
        raise SyncInProgressError("All of this is running already.", runs=described)
    return TriggeredOut(
        status="triggered",
        tables=[table.name for table, _, _ in asked],
        message=f"{new} run{' was' if new == 1 else 's were'} started.",
        runs=described,
    )


@admin_router.get("/runs", response=list[RunOut], operation_id="list_runs")
def list_runs(request: HttpRequest, wanted: Query[RunsIn]) -> list[Run]:
    """List the newest runs first, at most 500 at a time."""
    newest = Run.objects.select_related("table", "source").order_by("-queued_at")
    if wanted.id:
        newest = newest.filter(pk__in=wanted.id)
    end = wanted.offset + max(1, min(wanted.limit, 500))
    return list(newest[wanted.offset : end])


@admin_router.get("/runs/{run_id}", response=RunDetailOut, operation_id="get_run")
def get_run(request: HttpRequest, run_id: UUID) -> Run:
    """Return one run with its log."""
    return _find(run_id)


@admin_router.get(
    "/runs/{run_id}/progress",
    operation_id="follow_run",
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {}}}}},
)
def follow_run(request: HttpRequest, run_id: UUID) -> StreamingHttpResponse:
    """Follow a run by server-sent events, one for each change; reconnect when the stream ends.

    The stream ends when the run does, and after 25 seconds in any case.
    """
    _find(run_id)
    response = StreamingHttpResponse(_events(run_id), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


@admin_router.get(
    "/runs/{run_id}/rejected", response=list[RejectedRowOut], operation_id="list_rejected_rows"
)
def list_rejected_rows(
    request: HttpRequest, run_id: UUID, wanted: Query[RejectedIn]
) -> list[rejected.RejectedRow]:
    """List the first rows that a run could not read and set aside."""
    return rejected.first_rows(_find(run_id), limit=max(1, min(wanted.limit, 1_000)))


@admin_router.get(
    "/runs/{run_id}/rejected/download",
    operation_id="download_rejected_rows",
    openapi_extra={"responses": {200: {"content": {"application/x-ndjson": {}}}}},
)
def download_rejected_rows(request: AuthedRequest, run_id: UUID) -> FileResponse:
    """Send all rows that a run set aside, as a line of JSON each."""
    run = _find(run_id)
    file = rejected.opened(run)
    audit.record(
        action="run.rejected_download", resource=f"run/{run.pk}", actor=request.user,
        after={"rows": run.rejected_rows},
    )  # fmt: skip
    name = f"{run.table or 'rows'}-set-aside.ndjson"
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/x-ndjson"
    )


@admin_router.post("/runs/{run_id}/cancel", response=RunOut, operation_id="cancel_run")
def cancel_run(request: AuthedRequest, run_id: UUID) -> Run:
    """End a run; it publishes nothing more."""
    run = _find(run_id)
    runs.cancel(run=run, by=request.user)
    return run


def _find(run_id: UUID) -> Run:
    run = Run.objects.select_related("table", "source").filter(pk=run_id).first()
    if run is None:
        raise RunNotFoundError(f"There is no run {run_id}.")
    return run


def _events(run_id: UUID) -> Iterator[bytes]:
    last = b""
    has_place = _places.acquire(blocking=False)
    ends = time.monotonic() + (STREAM_SECONDS if has_place else 0)
    try:
        yield b"retry: %d\n\n" % (_RETRY_MS if has_place else _RETRY_WITHOUT_PLACE_MS)
        while True:
            run = Run.objects.select_related("table", "source").filter(pk=run_id).first()
            if run is None:
                return
            event = orjson.dumps(RunOut.from_orm(run).model_dump(mode="json"))
            if event != last:
                yield b"data: " + event + b"\n\n"
                last = event
            if not run.is_open or time.monotonic() >= ends:
                return
            time.sleep(_POLL_SECONDS)
    finally:
        if has_place:
            _places.release()
        close_old_connections()


def _tables(names: list[str] | None) -> list[Table]:
    if names is None:
        scanning.scan()
        tables = Table.objects.with_copies().filter(source__is_paused=False)
        return list(tables.select_related("source"))
    # One table may be named twice, by its name and by an alias.
    found = {table.pk: table for table in map(registry.find_table, names)}
    return [table for table in found.values() if table.query_mode != QueryMode.REMOTE]


def _names(wanted: Any) -> list[str] | None:
    if isinstance(wanted, dict) and set(wanted) == {"tables"}:
        wanted = wanted["tables"]
    if wanted is None:
        return None
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise TriggerInvalidError("The body is not a list of names.")
    return list(dict.fromkeys(wanted))
