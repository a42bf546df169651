"""The history of an object is its part of the audit; some of what was done can be taken back.

Each app says in its ``AppConfig.ready()`` which of its actions can be taken back, and how: by the
same service that did them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """What was changed has been changed again since, or is something else by now."""

    code = "changed_since"
    hint = "Look at what it is now; to put the old back nevertheless, say so."


@dataclass(frozen=True, kw_only=True)
class Reverter:
    """How an action is taken back.

    ``now`` returns what is there now of what an event changed, ``None`` if nothing is; ``do``
    takes the event back. ``names`` returns what the event names, as the audit does; ``loses``
    says what does not come back.
    """

    label: str
    now: Callable[[AuditEvent], Mapping[str, Any] | None]
    do: Callable[[AuditEvent, User | None], None]
    names: Callable[[AuditEvent], Sequence[str]] = lambda event: [event.resource]
    loses: str = ""


_reverters: dict[str, Reverter] = {}
_naming: dict[str, Callable[[AuditEvent], bool]] = {}
_readings: set[str] = set()


def register(action: str, reverter: Reverter) -> None:
    """Say how an action is taken back."""
    _reverters[action] = reverter


def register_naming(
    action: str, *, names: Callable[[AuditEvent], bool] = lambda event: True
) -> None:
    """Say that an action gives its resource a name, when ``names`` says so of its event."""
    _naming[action] = names


def register_reading(action: str) -> None:
    """Say that an action changes nothing, so that it is no part of any history."""
    _readings.add(action)


def reverter_of(event: AuditEvent) -> Reverter | None:
    """Return how an event is taken back, if it can be."""
    found = _reverters.get(event.action)
    return found if found is not None and event.result == "ok" else None


def before(event: AuditEvent) -> Mapping[str, Any]:
    """Return what was there before an event.

    Raises:
        NotRevertibleError: the event does not tell.
    """
    if not event.before:
        raise NotRevertibleError("The audit does not tell what was there before.")
    told: Mapping[str, Any] = event.before
    return told


def about(resources: Iterable[str]) -> QuerySet[AuditEvent]:
    """Return what was done to these, the newest first; that they were read is left out."""
    # Named one by one, since an index leads to each; what is read most has millions of events.
    actions = set(AuditEvent.objects.actions()) - _readings
    found = AuditEvent.objects.filter(resource__in=list(resources), action__in=actions)
    return found.select_related("actor")


def doubts(event: AuditEvent) -> list[str]:
    """Return, in sentences, what has happened since that speaks against taking an event back."""
    reverter = reverter_of(event)
    if reverter is None:
        return []
    fields, names = _changed_since(event, reverter), _named_since(event, reverter)
    said = [f"Changed again since: {', '.join(fields)}."] if fields else []
    return said + [f"Since then, {name} is the name of another." for name in names]


def _changed_since(event: AuditEvent, reverter: Reverter) -> list[str]:
    """Return the fields that are no longer as the event left them."""
    now, left = reverter.now(event), event.after or {}
    if now is None:
        return sorted(left)
    return [name for name, value in left.items() if now.get(name) != value]


def _named_since(event: AuditEvent, reverter: Reverter) -> list[str]:
    """Return the names in the event that something was given since: it may be another thing."""
    later = AuditEvent.objects.filter(
        resource__in=reverter.names(event), action__in=_naming, at__gt=event.at
    )
    return sorted({each.resource for each in later if _naming[each.action](each)})


@transaction.atomic
def revert(*, event: AuditEvent, by: User | None, anyway: bool = False) -> None:
    """Take back what an event did, by the service that did it.

    Raises:
        NotRevertibleError: this action cannot be taken back, or its object is gone.
        ChangedSinceError: there are doubts, unless it is ``anyway`` wanted.
        AgnesError: the service refuses.
    """
    reverter = reverter_of(event)
    if reverter is None:
        raise NotRevertibleError("This cannot be taken back.")
    said = [] if anyway else doubts(event)
    if said:
        raise ChangedSinceError(" ".join(said))
    reverter.do(event, by)
    audit.record(
        action=REVERTED, resource=event.resource, actor=by,
        after={"event": str(event.pk), "action": event.action},
    )  # fmt: skip
