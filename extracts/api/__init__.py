"""The work over HTTP."""

from ninja import Router

from extracts.api.damage import router
from extracts.api.progress import router as progress_router
from extracts.api.questions import router as questions_router
from extracts.api.rejected import router as rejected_router
from extracts.api.runs import admin_router as runs_router
from extracts.api.runs import status_router
from extracts.api.sources import router as sources_router
from extracts.api.trigger import router as trigger_router

admin_router = Router()
for _each in (trigger_router, runs_router, progress_router, rejected_router):
    admin_router.add_router("", _each)
for _each in (questions_router, sources_router):
    admin_router.add_router("/admin", _each)

__all__ = ["admin_router", "router", "status_router"]
