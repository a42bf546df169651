"""The manifest of the caller."""

from __future__ import annotations

from django.http import HttpResponse
from ninja import Router

from access.auth import AuthedRequest
from catalog.services import manifest

router = Router(tags=["distribution"])

_DOCUMENTED = {
    "parameters": [
        {
            "in": "header", "name": "X-Agnes-Client", "schema": {"type": "string"},
            "description": "`agnes/1.0.0; parts` of a client that takes tables of several files.",
        },
        {
            "in": "header", "name": "If-None-Match", "schema": {"type": "string"},
            "description": "ETag of the manifest that the client has.",
        },
    ],
    "responses": {
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "tables": {
                            "orders": {
                                "hash": "0cc175b9c0f1b6a831c399e269772661",
                                "updated": "2026-01-01T08:00:00Z", "size_bytes": 24147,
                                "rows": 1000, "query_mode": "local", "source_type": "files",
                                "version": 3, "sha256": "ca978112ca1bbdca…",
                                "parts": [
                                    {
                                        "ordinal": 0, "key": "", "sha256": "ca978112ca1bbdca…",
                                        "md5": "0cc175b9c0f1b6a831c399e269772661",
                                        "size_bytes": 24147, "rows": 1000,
                                    }
                                ],
                                "schema_hash": "3e23e8160039594a…", "aliases": [],
                                "tier": "required",
                            }
                        },
                        "waiting": ["refunds"],
                        "assets": {},
                        "server_time": "2026-01-01T09:00:00+00:00",
                    }
                }
            },
        },
        304: {"description": "Nothing has changed"},
    },
}  # fmt: skip


@router.get("/sync/manifest", operation_id="get_manifest", openapi_extra=_DOCUMENTED)
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
