"""Who there is and who may do what, over HTTP."""

from ninja import Router

from access.api.grants import router as grants_router
from access.api.groups import router as groups_router
from access.api.tokens import router as tokens_router
from access.api.users import router as users_router

admin_router = Router()
admin_router.add_router("", groups_router)
admin_router.add_router("", grants_router)

__all__ = ["admin_router", "tokens_router", "users_router"]
