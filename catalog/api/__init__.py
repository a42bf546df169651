"""The catalog over HTTP."""

from ninja import Router

from catalog.api.discovery import admin_router as discovery_admin_router
from catalog.api.discovery import router as discovery_router
from catalog.api.downloads import router as downloads_router
from catalog.api.exchange import admin_router as exchange_admin_router
from catalog.api.manifest import router as manifest_router
from catalog.api.registry import admin_router as registry_admin_router
from catalog.api.schedules import admin_router as schedules_admin_router
from catalog.api.secrets import admin_router as secrets_admin_router
from catalog.api.tables import router as tables_router

router = Router()
router.add_router("", manifest_router)
router.add_router("", downloads_router)
router.add_router("", tables_router)
router.add_router("", discovery_router)

admin_router = Router()
admin_router.add_router("", registry_admin_router)
admin_router.add_router("", schedules_admin_router)
admin_router.add_router("", discovery_admin_router)
admin_router.add_router("", exchange_admin_router)
admin_router.add_router("", secrets_admin_router)

__all__ = ["admin_router", "router"]
