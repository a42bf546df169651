"""Incidents: why something that was refused is not served."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models import User
from agnes_site.core.database import UuidModel
from catalog.models.source import Source
from catalog.models.table import Table


class IncidentKind(models.TextChoices):
    """What was found."""

    DAMAGED = "damaged", "A stored file is damaged or missing"
    HELD = "held", "A candidate was not published"
    FOREIGN_FILE = "foreign_file", "A foreign file in a folder of ours"
    UNREACHABLE = "unreachable", "Remote tables cannot be looked at"
    UNREADABLE = "unreadable", "An extract cannot be read"


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Questions about incidents."""

    def waiting(self) -> IncidentQuerySet:
        """Limit to the incidents that still need a person."""
        return self.filter(closed_at__isnull=True)


class Incident(UuidModel):
    """Something that needs a person; the last good version stays in service meanwhile."""

    source = models.ForeignKey(
        Source, null=True, on_delete=models.CASCADE, related_name="incidents"
    )
    table = models.ForeignKey(Table, null=True, on_delete=models.CASCADE, related_name="incidents")
    kind = models.CharField(max_length=20, choices=IncidentKind.choices)
    code = models.CharField(max_length=60)
    message = models.TextField()
    hint = models.TextField(blank=True)
    opened_at = models.DateTimeField("opened", auto_now_add=True)
    closed_at = models.DateTimeField("closed", null=True, blank=True)
    waived_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-opened_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="incident_concerns_one_thing",
                condition=Q(source__isnull=True, table__isnull=False)
                | Q(source__isnull=False, table__isnull=True),
            ),
            models.UniqueConstraint(
                fields=["table", "kind"],
                name="incident_one_open_per_table",
                condition=Q(closed_at__isnull=True, table__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["source", "kind"],
                name="incident_one_open_per_source",
                condition=Q(closed_at__isnull=True, source__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.message
