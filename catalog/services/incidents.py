"""Incidents: opened once, closed when what they report is over."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from access.models import User
from access.services import audit
from agnes_site.core.errors import AgnesError, ConflictError
from catalog.models import Incident, IncidentKind, Source, Table


class IncidentOverError(ConflictError):
    """An incident that is closed cannot be waived any more."""

    code = "incident_over"
    hint = "Nothing is to be done about it."


@transaction.atomic
def open_incident(*, about: Table | Source, kind: IncidentKind, error: AgnesError) -> Incident:
    """Say what is wrong; an open incident of that kind is brought up to date."""
    incident, _ = about.incidents.update_or_create(
        kind=kind, closed_at=None,
        defaults={"code": error.code, "message": error.message, "hint": error.hint},
    )  # fmt: skip
    return incident


def close_incidents(*, about: Table | Source, kind: IncidentKind) -> int:
    """Close what was open of this kind, since it is over; return how many."""
    return about.incidents.waiting().filter(kind=kind).update(closed_at=timezone.now())


def close_incidents_of(tables: Collection[Table], *, kind: IncidentKind) -> None:
    """Close what was open of this kind of each of these tables."""
    waiting = Incident.objects.waiting().filter(table__in=tables, kind=kind)
    waiting.update(closed_at=timezone.now())


@transaction.atomic
def waive(*, incident: Incident, by: User | None) -> None:
    """Close an incident because a person says that it does not matter.

    Raises:
        IncidentOverError: it is closed already.
    """
    now = timezone.now()
    if not Incident.objects.waiting().filter(pk=incident.pk).update(closed_at=now, waived_by=by):
        raise IncidentOverError("This incident is over already.")
    incident.refresh_from_db()
    audit.record(action="incident.waive", resource=f"incident/{incident.pk}", actor=by)
