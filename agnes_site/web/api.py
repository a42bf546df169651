"""What clients ask first: is the server well, who am I, what belongs into a workspace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from access.models import Group, User
from agnes_site.core.storage import Layout
from agnes_site.core.version import VERSION
from catalog.connectors import QueryMode
from catalog.models import Table

health_router = Router(tags=["health"])
workspace_router = Router(tags=["workspace"])
client_router = Router(tags=["client"])

_TABLES_IN_WELCOME = 500


class HealthOut(Schema):
    """Whether the server is up."""

    status: str = Field(description="Always `ok`.")
    db_schema: str = Field(description="Always `ok`; older clients read it.")
    version: str = Field(description="Version of the server.")


class ReadyOut(Schema):
    """Whether the server can do its work; each part by name: `ok`, or what is wrong."""

    status: str = Field(description="`ok` or `not ready`.")
    checks: dict[str, str] = Field(description="`database` and `storage`, each with its state.")


class HealthDetailsOut(Schema):
    """How the parts of the server are, as far as it concerns the caller."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "healthy", "version": "1.0.0", "timestamp": "2026-01-01T08:00:00Z",
                "services": {"database": {"status": "ok"}},
            }
        }
    )  # fmt: skip

    status: str = Field(description="healthy, degraded (something is held back) or unhealthy.")
    version: str
    timestamp: datetime
    services: dict[str, dict[str, Any]] = Field(
        description="Each part by name; `status` is ok, warning or error."
    )


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


class LatestClientOut(Schema):
    """The client that this server offers; nulls: none that should replace an older one."""

    version: str | None = Field(description="Its version.")
    wheel_filename: str | None = Field(description="Name of its file.")
    download_url_path: str | None = Field(description="Path on this server to fetch it from.")


@health_router.get("/health", response=HealthOut, operation_id="get_health")
def get_health(request: HttpRequest) -> HealthOut:
    """Say that the server answers. Cheap, and without a look at anything else."""
    return HealthOut(status="ok", db_schema="ok", version=VERSION)


@health_router.get("/ready", response={200: ReadyOut, 503: ReadyOut}, operation_id="get_ready")
def get_ready(request: HttpRequest) -> Status[ReadyOut]:
    """Say whether the database answers and the data folder can be written."""
    checks = {"database": _check_database(), "storage": _check_storage(settings.LAYOUT)}
    is_ready = all(state == "ok" for state in checks.values())
    return Status(
        200 if is_ready else 503, ReadyOut(status="ok" if is_ready else "not ready", checks=checks)
    )


@workspace_router.get(
    "/health/detailed", response=HealthDetailsOut, operation_id="get_health_details"
)
def get_health_details(request: AuthedRequest) -> HealthDetailsOut:
    """Say how each part of the server is; of the tables, only those the caller may read."""
    services = {
        "database": _service(_check_database()),
        "storage": _service(_check_storage(settings.LAYOUT)),
        "data": _described_data(request.user),
        "users": {"status": "ok", "count": User.objects.filter(is_active=True).count()},
    }
    states = {service["status"] for service in services.values()}
    worst = "unhealthy" if "error" in states else "degraded" if "warning" in states else "healthy"
    return HealthDetailsOut(
        status=worst, version=VERSION, timestamp=timezone.now(), services=services
    )


@workspace_router.get("/me", response=MeOut, operation_id="get_me")
def get_me(request: AuthedRequest) -> MeOut:
    """Say who is calling."""
    user = request.user
    groups = list(Group.objects.of(user).values_list("name", flat=True))
    return MeOut(
        id=user.pk, email=user.email, name=user.name, is_admin=user.is_admin, groups=groups
    )


@workspace_router.get("/welcome", response=WelcomeOut, operation_id="get_welcome")
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


@workspace_router.get(
    "/initial-workspace", response=InitialWorkspaceOut, operation_id="get_initial_workspace"
)
def get_initial_workspace(request: AuthedRequest) -> InitialWorkspaceOut:
    """Say that there is no template: a client makes the workspace by itself."""
    return InitialWorkspaceOut(
        configured=False, synced=False, template_source=None, template_sha=None, synced_at=None,
        files=[],
    )  # fmt: skip


@workspace_router.get("/memory/bundle", response=MemoryBundleOut, operation_id="get_memory_bundle")
def get_memory_bundle(request: AuthedRequest) -> MemoryBundleOut:
    """Return the shared knowledge, of which this release keeps none."""
    return MemoryBundleOut(mandatory=[], approved=[])


@client_router.get("/latest", response=LatestClientOut, operation_id="get_latest_client")
def get_latest_client(request: HttpRequest) -> LatestClientOut:
    """Say which client should replace older ones: none."""
    return LatestClientOut(version=None, wheel_filename=None, download_url_path=None)


def _service(state: str) -> dict[str, Any]:
    return {"status": "ok"} if state == "ok" else {"status": "error", "detail": state}


def _described_data(user: User) -> dict[str, Any]:
    tables = Table.objects.readable_by(user)
    total = tables.aggregate(rows=Sum("current_version__rows"))["rows"] or 0
    held = tables.filter(incidents__closed_at=None, incidents__isnull=False).distinct()
    stale = list(held.order_by("name").values_list("name", flat=True))
    return {
        "status": "warning" if stale else "ok", "tables": tables.count(), "total_rows": total,
        "stale_tables": stale,
    }  # fmt: skip


def _check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM access_group")
            cursor.fetchone()
    except Exception as error:  # noqa: BLE001 (whatever is wrong is the answer)
        return f"does not answer ({type(error).__name__})"
    return "ok"


def _check_storage(layout: Layout) -> str:
    probe: Path = layout.tmp / f".ready-{uuid4().hex}"
    try:
        probe.write_bytes(b"ready")
        probe.unlink()
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    return "ok"
