"""A run followed while it works, by server-sent events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from uuid import UUID

import orjson
from django.conf import settings
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router

from extracts.api.runs import RunOut, find_run
from extracts.models import Run

router = Router(tags=["runs"])

STREAM_SECONDS = 25
_POLL_SECONDS = 0.5
_RETRY_MS, _RETRY_WITHOUT_PLACE_MS = 500, 3000
# A stream holds a thread of the web process: most of them stay free for everybody else. Who
# finds no place is told once how the run is, and asks again.
_places = threading.BoundedSemaphore(max(1, settings.CONFIG.web_threads // 4))


@router.get(
    "/runs/{run_id}/progress",
    operation_id="follow_run",
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {}}}}},
)
def follow_run(request: HttpRequest, run_id: UUID) -> StreamingHttpResponse:
    """Follow a run by server-sent events, one for each change; reconnect when the stream ends.

    The stream ends when the run does, and after 25 seconds in any case.
    """
    find_run(run_id)
    response = StreamingHttpResponse(_events(run_id), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


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
