"""Runs: looked at and ended, and whether there are any."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from agnes_site.core.errors import NotFoundError
from agnes_site.core.paging import LARGEST_OFFSET
from extracts.models import Run
from extracts.services import runs

admin_router = Router(tags=["runs"])
status_router = Router(tags=["runs"])


class RunNotFoundError(NotFoundError):
    """There is no such run."""

    code = "run_not_found"


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


class RunDetailOut(RunOut):
    """One run with its log."""

    log: str = Field(description="Its beginning and its newest lines.")


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
    return find_run(run_id)


@admin_router.post("/runs/{run_id}/cancel", response=RunOut, operation_id="cancel_run")
def cancel_run(request: AuthedRequest, run_id: UUID) -> Run:
    """End a run; it publishes nothing more."""
    run = find_run(run_id)
    runs.cancel(run=run, by=request.user)
    return run


def find_run(run_id: UUID) -> Run:
    """Return a run with its table and source.

    Raises:
        RunNotFoundError: there is none.
    """
    run = Run.objects.select_related("table", "source").filter(pk=run_id).first()
    if run is None:
        raise RunNotFoundError(f"There is no run {run_id}.")
    return run
