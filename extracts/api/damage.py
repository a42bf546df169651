"""Reports of clients about files that came to them damaged."""

from __future__ import annotations

from ninja import Router, Schema
from ninja.responses import Status
from pydantic import Field

from access.auth import AuthedRequest
from catalog.models import Table
from catalog.services import registry
from extracts.services import damage_reports

router = Router(tags=["distribution"])


class ReportIn(Schema):
    """Which file came with which hash."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="The hash in the manifest.")
    found: str = Field(
        "", pattern="^([0-9a-f]{64})?$", description="The hash of what came, where it was whole."
    )


class ReportOut(Schema):
    """What the server does about it."""

    is_checked: bool = Field(
        description="Whether the file is read now; not when it was read minutes ago."
    )


@router.post(
    "/data/{name}/report", response={202: ReportOut}, operation_id="report_damaged_download"
)
def report_damaged_download(request: AuthedRequest, name: str, data: ReportIn) -> Status[ReportOut]:
    """Have the server read a stored file again that came with a wrong hash more than once."""
    table = registry.find_table(name, among=Table.objects.readable_by(request.user))
    is_checked = damage_reports.report(
        table=table, sha256=data.sha256, found=data.found, by=request.user
    )
    return Status(202, ReportOut(is_checked=is_checked))
