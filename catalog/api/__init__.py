"""The catalog over HTTP."""

from ninja import Router

from catalog.api.downloads import router as downloads_router
from catalog.api.manifest import router as manifest_router
from catalog.api.tables import admin_router, tables_router

router = Router()
router.add_router("", manifest_router)
router.add_router("", downloads_router)
router.add_router("", tables_router)

__all__ = ["admin_router", "router"]
