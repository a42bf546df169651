"""The manifest of the caller."""

from __future__ import annotations

from django.http import HttpResponse
from ninja import Router

from access.auth import AuthedRequest
from catalog.services import manifest

router = Router(tags=["distribution"])


@router.get("/sync/manifest", operation_id="get_manifest")
def get_manifest(request: AuthedRequest) -> HttpResponse:
    """List what the caller may download, with hashes and sizes; 304 when nothing has changed."""
    able = manifest.capabilities(request.headers.get("X-Agnes-Client", ""))
    etag = manifest.etag(request.auth, able)
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(
            manifest.render(request.user, able), content_type="application/json"
        )
    response["ETag"] = etag
    response["Vary"] = "Authorization, X-Agnes-Client"
    response["Cache-Control"] = "private, no-cache"
    return response
