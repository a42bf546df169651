"""The history of an object is its part of the audit; some of what was done can be taken back.

Each app says in its ``AppConfig.ready()`` which of its actions can be taken back, and how: by the
same service that did them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from access.models import AuditEvent, User
from access.services import audit
from agnes_site.core.errors import ConflictError

REVERTED = "revert"


class NotRevertibleError(ConflictError):
    """What was done cannot be taken back like this."""

    code = "not_revertible"
    hint = "Change it by hand on its own page."


class ChangedSinceError(ConflictError):
    """What was changed has been changed again since."""

    code = "changed_since"
    hint = "Look at what it is now; to put the old back nevertheless, say so."


@dataclass(frozen=True, kw_only=True)
class Reverter:
    """How an action is taken back.

    ``now`` returns what is there now of what an event changed, ``None`` if nothing is; ``do``
    takes the event back. ``loses`` says what does not come back.
    """

    label: str
    now: Callable[[AuditEvent], Mapping[str, Any] | None]
    do: Callable[[AuditEvent, User | None], None]
    loses: str = ""


_reverters: dict[str, Reverter] = {}


def register(action: str, reverter: Reverter) -> None:
    """Say how an action is taken back."""
    _reverters[action] = reverter


def reverter_of(event: AuditEvent) -> Reverter | None:
    """Return how an event is taken back, if it can be."""
    found = _reverters.get(event.action)
    return found if found is not None and event.result == "ok" else None


def about(resources: Iterable[str]) -> QuerySet[AuditEvent]:
    """Return what was done to these, the newest first."""
    return AuditEvent.objects.filter(resource__in=list(resources)).select_related("actor")


def changed_since(event: AuditEvent) -> list[str]:
    """Return the fields that are no longer as the event left them."""
    reverter = reverter_of(event)
    now = reverter.now(event) if reverter else None
    left = event.after or {}
    if now is None:
        return sorted(left)
    return [name for name, value in left.items() if now.get(name) != value]


@transaction.atomic
def revert(*, event: AuditEvent, by: User | None, anyway: bool = False) -> None:
    """Take back what an event did, by the service that did it.

    Raises:
        NotRevertibleError: this action cannot be taken back, or its object is gone.
        ChangedSinceError: it was changed again since, unless that is ``anyway`` wanted.
        AgnesError: the service refuses.
    """
    reverter = reverter_of(event)
    if reverter is None:
        raise NotRevertibleError("This cannot be taken back.")
    since = changed_since(event)
    if since and not anyway:
        raise ChangedSinceError(f"Changed again since: {', '.join(since)}.", fields=since)
    reverter.do(event, by)
    audit.record(
        action=REVERTED, resource=event.resource, actor=by,
        after={"event": str(event.pk), "action": event.action},
    )  # fmt: skip
