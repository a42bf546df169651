"""What clients ask of the server as a whole, over HTTP."""

from agnes_site.web.api.client import router as client_router
from agnes_site.web.api.health import open_router as health_router
from agnes_site.web.api.health import router as health_details_router
from agnes_site.web.api.workspace import router as workspace_router

__all__ = ["client_router", "health_details_router", "health_router", "workspace_router"]
