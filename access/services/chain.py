"""The chain of the audit: events are sealed into it, and it is looked through for gaps.

Each hash covers an event and the hash before it, so a removed or altered event breaks the chain
at that place. How far the chain had come is also noted in a file beside the database, which tells
when the newest events are gone, or all hashes were made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction

from access.models import AuditEvent
from access.services import audit
from agnes_site.core.database import one_at_a_time
from agnes_site.core.storage import write_private

logger = structlog.get_logger(__name__)

GENESIS = "0" * 64
_AT_ONCE = 500


@dataclass(frozen=True)
class Head:
    """The newest event of the chain: its place, from 1, and its hash; place 0 before the first."""

    seq: int = 0
    hash: str = GENESIS


def seal() -> int:
    """Chain all events that are not sealed yet, oldest first, and return their number.

    What the chain had come to and no longer holds is recorded first, as an event of its own.
    """
    noted = _noted()
    count, head = _seal(noted)
    if head != noted:
        write_private(_note(), json.dumps(asdict(head)).encode())
    if count:
        # Whoever collects the logs elsewhere has the heads of the chain there as well.
        logger.info("The audit is sealed", events=count, seq=head.seq, hash=head.hash)
    return count


@transaction.atomic
def _seal(noted: Head) -> tuple[int, Head]:
    one_at_a_time("audit")
    head = _head()
    if not _holds(noted):
        audit.record(
            action="audit.lost", resource="audit", result="broken",
            after={"noted": noted.seq, "found": head.seq},
        )  # fmt: skip
    waiting = AuditEvent.objects.filter(seq__isnull=True).order_by("at", "pk")
    count = 0
    while events := list(waiting[:_AT_ONCE]):
        head = _chain(events, head)
        AuditEvent.objects.bulk_create(
            events, update_conflicts=True, unique_fields=["id"],
            update_fields=["seq", "prev_hash", "hash"],
        )  # fmt: skip
        count += len(events)
    return count, head


def _chain(events: Sequence[AuditEvent], head: Head) -> Head:
    for event in events:
        event.seq, event.prev_hash = head.seq + 1, head.hash
        event.hash = chained_hash(event, head.hash)
        head = Head(event.seq, event.hash)
    return head


def _head() -> Head:
    newest = AuditEvent.objects.filter(seq__isnull=False).order_by("-seq").first()
    return Head(newest.seq or 0, newest.hash or GENESIS) if newest else Head()


def _holds(noted: Head) -> bool:
    return noted.seq == 0 or AuditEvent.objects.filter(seq=noted.seq, hash=noted.hash).exists()


def _noted() -> Head:
    try:
        told = json.loads(_note().read_bytes())
        return Head(seq=int(told["seq"]), hash=str(told["hash"]))
    except FileNotFoundError:
        return Head()
    except (ValueError, TypeError, KeyError) as error:
        # The next note replaces it: that one is damaged must not keep the audit from being sealed.
        logger.warning("The note of the audit cannot be read", path=str(_note()), error=repr(error))
        return Head()


def _note() -> Path:
    state: Path = settings.LAYOUT.state
    return state / "audit-head.json"


def chained_hash(event: AuditEvent, previous: str) -> str:
    """Return the SHA-256 (hex) over an event and the hash of the one before it."""
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
    return audit.record(
        action="audit.check", resource="audit", result="ok" if broken is None else "broken",
        after={"sealed": _head().seq, "broken": broken.seq if broken else None},
    )  # fmt: skip


def last_check() -> AuditEvent | None:
    """Return what was recorded when the chain was looked through the last time."""
    return _newest("audit.check")


def last_loss() -> AuditEvent | None:
    """Return what was recorded when the newest events were found to be gone the last time."""
    return _newest("audit.lost")


def _newest(action: str) -> AuditEvent | None:
    return AuditEvent.objects.filter(action=action).order_by("-at").first()
