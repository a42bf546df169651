"""The rows that a run could not read."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse, HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from access.auth import AuthedRequest
from access.services import audit
from extracts.api.runs import find_run
from extracts.services import rejected
from extracts.services.rejected import RejectedRow

router = Router(tags=["runs"])


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


@router.get(
    "/runs/{run_id}/rejected", response=list[RejectedRowOut], operation_id="list_rejected_rows"
)
def list_rejected_rows(
    request: HttpRequest, run_id: UUID, wanted: Query[RejectedIn]
) -> list[RejectedRow]:
    """List the first rows that a run could not read and set aside."""
    return rejected.first_rows(find_run(run_id), limit=max(1, min(wanted.limit, 1_000)))


@router.get(
    "/runs/{run_id}/rejected/download",
    operation_id="download_rejected_rows",
    openapi_extra={"responses": {200: {"content": {"application/x-ndjson": {}}}}},
)
def download_rejected_rows(request: AuthedRequest, run_id: UUID) -> FileResponse:
    """Send all rows that a run set aside, as a line of JSON each."""
    run = find_run(run_id)
    file = rejected.opened(run)
    audit.record(
        action="run.rejected_download", resource=f"run/{run.pk}", actor=request.user,
        after={"rows": run.rejected_rows},
    )  # fmt: skip
    name = f"{run.table or 'rows'}-set-aside.ndjson"
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/x-ndjson"
    )
