"""The files themselves."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router, Schema
from pydantic import Field

from access.auth import AuthedRequest
from access.services import audit
from agnes_site.core.database import without_waiting_for_the_disk
from agnes_site.core.files import serve
from catalog.models import Table
from catalog.services import files, registry

router = Router(tags=["distribution"])


class DownloadIn(Schema):
    """Which file of a table."""

    version: int | None = Field(None, description="Number of a version; the current one if unset.")
    part: str = Field("", description="SHA-256 of one part of a table that has several.")


_DOCUMENTED = {
    "responses": {
        200: {"content": {"application/octet-stream": {}}},
        206: {"description": "The range asked for", "content": {"application/octet-stream": {}}},
        304: {"description": "The client has this file"},
        416: {"description": "The range lies outside of the file"},
    }
}


@router.api_operation(
    ["GET", "HEAD"],
    "/data/{name}/download",
    operation_id="download_table",
    openapi_extra=_DOCUMENTED,
)
def download_table(
    request: AuthedRequest, name: str, wanted: Query[DownloadIn]
) -> HttpResponseBase:
    """Send a table as Parquet. Knows ranges, If-Range, If-None-Match and HEAD."""
    table, file = files.find(request.user, name, number=wanted.version, part=wanted.part)
    try:
        response = serve(request, file, accel_prefix=settings.CONFIG.x_accel_prefix)
    except FileNotFoundError:
        raise files.StoredFileMissingError(
            f"A file of {table} is missing on the server.", table=table
        ) from None
    # Each range as well: one that leaves out the first byte is a download, too.
    if request.method == "GET" and response.status_code in (200, 206):
        with without_waiting_for_the_disk():
            audit.record(
                action="data.download", resource=f"table/{table}", actor=request.user,
                after={
                    "sha256": file.sha256, "bytes": file.bytes,
                    "range": request.headers.get("Range", "")[:100],
                },
            )  # fmt: skip
    return response


@router.get("/data/{name}/check-access", response={204: None}, operation_id="check_table_access")
def check_table_access(request: AuthedRequest, name: str) -> HttpResponse:
    """Say whether the caller may read a table: 204 if so, 404 if not. For a proxy in front."""
    registry.find_table(name, among=Table.objects.readable_by(request.user))
    return HttpResponse(status=204)
