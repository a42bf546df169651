"""Whether the server is well: for load balancers, for watchers, and for those who sign in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from ninja.responses import Status
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from access.models import User
from agnes_site.core.storage import Layout
from agnes_site.core.version import VERSION
from catalog.models import Table

# What is asked without signing in, and what is not.
open_router = Router(tags=["health"])
router = Router(tags=["workspace"])


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


@open_router.get("/health", response=HealthOut, operation_id="get_health")
def get_health(request: HttpRequest) -> HealthOut:
    """Say that the server answers. Cheap, and without a look at anything else."""
    return HealthOut(status="ok", db_schema="ok", version=VERSION)


@open_router.get("/ready", response={200: ReadyOut, 503: ReadyOut}, operation_id="get_ready")
def get_ready(request: HttpRequest) -> Status[ReadyOut]:
    """Say whether the database answers and the data folder can be written."""
    checks = {"database": _check_database(), "storage": _check_storage(settings.LAYOUT)}
    is_ready = all(state == "ok" for state in checks.values())
    return Status(
        200 if is_ready else 503, ReadyOut(status="ok" if is_ready else "not ready", checks=checks)
    )


@router.get("/health/detailed", response=HealthDetailsOut, operation_id="get_health_details")
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
