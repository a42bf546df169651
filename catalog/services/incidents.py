"""Incidents: opened once, closed when what they report is over."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from access.models import User
from access.services import audit
from agnes_site.core.errors import AgnesError
from catalog.models import Incident, IncidentKind, Source, Table


@transaction.atomic
def open_incident(*, about: Table | Source, kind: IncidentKind, error: AgnesError) -> Incident:
    """Say what is wrong; an open incident of that kind is brought up to date."""
    subject = {"table": about} if isinstance(about, Table) else {"source": about}
    incident, _ = Incident.objects.update_or_create(
        **subject, kind=kind, closed_at=None,
        defaults={"code": error.code, "message": error.message, "hint": error.hint},
    )  # fmt: skip
    return incident


def close_incidents(*, about: Table | Source, kind: IncidentKind) -> int:
    """Close what was open of this kind, since it is over; return how many."""
    subject = {"table": about} if isinstance(about, Table) else {"source": about}
    return Incident.objects.filter(**subject, kind=kind, closed_at=None).update(
        closed_at=timezone.now()
    )


@transaction.atomic
def waive(*, incident: Incident, by: User | None) -> None:
    """Close an incident because a person says that it does not matter."""
    incident.closed_at, incident.waived_by = timezone.now(), by
    incident.save(update_fields=["closed_at", "waived_by"])
    audit.record(action="incident.waive", resource=f"incident/{incident.pk}", actor=by)
