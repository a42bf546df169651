"""The work over HTTP."""

from extracts.api.runs import admin_router, status_router

__all__ = ["admin_router", "status_router"]
