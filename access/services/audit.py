"""Writing the audit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models

from access.models import AuditEvent, User
from agnes_site.core.requests import current


def record(
    *,
    action: str,
    resource: str = "",
    actor: User | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    result: str = "ok",
    duration_ms: int | None = None,
) -> AuditEvent:
    """Write down who did what; call it inside the transaction of the change."""
    return AuditEvent.objects.create(
        action=action,
        resource=resource[:260],
        actor=actor,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        result=result[:200],
        duration_ms=duration_ms,
        **_of_request(),
    )


def record_each(
    *, action: str, after: Mapping[str, Mapping[str, Any]], actor: User | None = None
) -> None:
    """Write down that the same was done to several resources; ``after`` is by resource."""
    request = _of_request()
    AuditEvent.objects.bulk_create(
        AuditEvent(action=action, resource=resource[:260], actor=actor, after=dict(told), **request)
        for resource, told in after.items()
    )


def _of_request() -> dict[str, Any]:
    request = current()
    return {
        "ip": request.ip, "client_kind": request.client_kind, "request_id": request.request_id,
    }  # fmt: skip


def snapshot(instance: models.Model, fields: Iterable[str]) -> dict[str, Any]:
    """Return the named fields of a row as JSON can hold them, for ``before`` and ``after``."""
    values = {field: getattr(instance, field) for field in fields}
    copied: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return copied
