"""Which client the server offers."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

router = Router(tags=["client"])


class LatestClientOut(Schema):
    """The client that this server offers; nulls: none that should replace an older one."""

    version: str | None = Field(description="Its version.")
    wheel_filename: str | None = Field(description="Name of its file.")
    download_url_path: str | None = Field(description="Path on this server to fetch it from.")


@router.get("/latest", response=LatestClientOut, operation_id="get_latest_client")
def get_latest_client(request: HttpRequest) -> LatestClientOut:
    """Say which client should replace older ones: none."""
    return LatestClientOut(version=None, wheel_filename=None, download_url_path=None)
