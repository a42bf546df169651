"""What a client asks about itself and its workspace: who am I, what belongs into it."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from access.models import Group
from catalog.connectors import QueryMode
from catalog.models import Table

router = Router(tags=["workspace"])

_TABLES_IN_WELCOME = 500


class MeOut(Schema):
    """Who is calling."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "8f14e45f-ceea-467f-a1b2-3c4d5e6f7a8b", "email": "ana@example.com",
                "name": "Ana", "is_admin": False, "groups": ["Everyone", "Sales"],
            }
        }
    )  # fmt: skip

    id: UUID
    email: str
    name: str
    is_admin: bool
    groups: list[str]


class WelcomeIn(Schema):
    """How the caller reaches the server."""

    server_url: str = Field(
        "",
        description="Address to write into the text.",
        max_length=500,
        pattern=r"^(https?://[^\s]+)?$",
    )


class WelcomeOut(Schema):
    """The text for CLAUDE.md of a workspace."""

    content: str = Field(description="Markdown.")


class InitialWorkspaceOut(Schema):
    """Whether the company has a template for workspaces."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "configured": False, "synced": False, "template_source": None,
                "template_sha": None, "synced_at": None, "files": [],
            }
        }
    )  # fmt: skip

    configured: bool
    synced: bool
    template_source: str | None
    template_sha: str | None
    synced_at: str | None
    files: list[str]


class MemoryBundleOut(Schema):
    """Shared knowledge for workspaces."""

    mandatory: list[dict[str, str]] = Field(description="What every workspace gets.")
    approved: list[dict[str, str]] = Field(description="What was approved besides.")


@router.get("/me", response=MeOut, operation_id="get_me")
def get_me(request: AuthedRequest) -> MeOut:
    """Say who is calling."""
    user = request.user
    groups = list(Group.objects.of(user).values_list("name", flat=True))
    return MeOut(
        id=user.pk, email=user.email, name=user.name, is_admin=user.is_admin, groups=groups
    )


@router.get("/welcome", response=WelcomeOut, operation_id="get_welcome")
def get_welcome(request: AuthedRequest, given: Query[WelcomeIn]) -> WelcomeOut:
    """Return the text that tells an agent how to work in a workspace."""
    tables = Table.objects.readable_by(request.user).order_by("name")
    fields = ("name", "description", "query_mode", "server_only")
    shown = tables.values_list(*fields)[:_TABLES_IN_WELCOME]
    context = {
        "instance": settings.CONFIG.instance_name,
        "server_url": given.server_url or settings.CONFIG.server_url,
        "user": request.user,
        "tables": [
            # On one line: a text of a source must not look like a heading of ours.
            {
                "name": name,
                "description": " ".join(description.split()),
                "is_remote": server_only or mode == QueryMode.REMOTE,
            }
            for name, description, mode, server_only in shown
        ],
        "table_count": tables.count(),
    }
    return WelcomeOut(content=render_to_string("web/welcome.md", context))


@router.get(
    "/initial-workspace", response=InitialWorkspaceOut, operation_id="get_initial_workspace"
)
def get_initial_workspace(request: AuthedRequest) -> InitialWorkspaceOut:
    """Say that there is no template: a client makes the workspace by itself."""
    return InitialWorkspaceOut(
        configured=False, synced=False, template_source=None, template_sha=None, synced_at=None,
        files=[],
    )  # fmt: skip


@router.get("/memory/bundle", response=MemoryBundleOut, operation_id="get_memory_bundle")
def get_memory_bundle(request: AuthedRequest) -> MemoryBundleOut:
    """Return the shared knowledge, of which this release keeps none."""
    return MemoryBundleOut(mandatory=[], approved=[])
