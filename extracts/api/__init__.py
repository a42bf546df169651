"""The work over HTTP."""

from ninja import Router

from extracts.api.damage import router
from extracts.api.questions import router as questions_router
from extracts.api.runs import admin_router as runs_admin_router
from extracts.api.runs import status_router
from extracts.api.sources import router as sources_router

admin_router = Router()
admin_router.add_router("", runs_admin_router)
admin_router.add_router("/admin", questions_router)
admin_router.add_router("/admin", sources_router)

__all__ = ["admin_router", "router", "status_router"]
