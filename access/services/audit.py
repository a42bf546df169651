"""Writing the audit, and sealing it into a chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models, transaction
from django.db.models import Max

from access.models import AuditEvent, User
from agnes_site.core.requests import current

GENESIS = "0" * 64


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


@transaction.atomic
def seal() -> int:
    """Chain all events that are not sealed yet, oldest first, and return their number.

    Each hash covers the event and the hash before it, so a removed or altered line breaks the
    chain at that place. Safe to call at the same time twice: the numbers are unique.
    """
    last = AuditEvent.objects.filter(
        seq=AuditEvent.objects.aggregate(top=Max("seq"))["top"]
    ).first()
    seq, previous = (last.seq or 0, last.hash or GENESIS) if last else (0, GENESIS)
    sealed = 0
    for event in AuditEvent.objects.filter(seq__isnull=True).order_by("at", "pk").iterator():
        seq += 1
        event.seq, event.prev_hash = seq, previous
        event.hash = previous = chained_hash(event, previous)
        event.save(update_fields=["seq", "prev_hash", "hash"])
        sealed += 1
    return sealed


def chained_hash(event: AuditEvent, previous: str) -> str:
    """Return the SHA-256 over an event and the hash of the one before it."""
    content = [
        event.seq, previous, event.at.isoformat(), str(event.actor_id), str(event.on_behalf_of_id),
        event.action, event.resource, event.before, event.after, event.result, event.duration_ms,
        event.ip, event.client_kind, event.request_id,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def first_broken() -> AuditEvent | None:
    """Return the first sealed event that does not fit the chain, or ``None`` if all do."""
    previous = GENESIS
    sealed = AuditEvent.objects.filter(seq__isnull=False).order_by("seq")
    for seq, event in enumerate(sealed.iterator(), start=1):
        if event.seq != seq or event.prev_hash != previous:
            return event
        if event.hash != chained_hash(event, previous):
            return event
        previous = event.hash
    return None


def check() -> AuditEvent:
    """Look through the whole chain, and record what was found; the result says if it is whole."""
    broken = first_broken()
    sealed = AuditEvent.objects.aggregate(top=Max("seq"))["top"] or 0
    return record(
        action="audit.check", resource="audit", result="ok" if broken is None else "broken",
        after={"sealed": sealed, "broken": broken.seq if broken else None},
    )  # fmt: skip


def last_check() -> AuditEvent | None:
    """Return what was recorded when the chain was looked through the last time."""
    return AuditEvent.objects.filter(action="audit.check").order_by("-at").first()
