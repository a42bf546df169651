"""Grants: what the members of a group may use."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from access.models.group import Group
from access.models.user import User
from agnes_site.core.database import UuidModel
from agnes_site.core.prepared import Parameter

# A time, or the place for one in a prepared query.
Moment = datetime | Parameter


class Tier(models.TextChoices):
    """How a grant reaches the laptop."""

    REQUIRED = "required", "Required: every pull brings it"
    AVAILABLE = "available", "Available: brought when asked for"


class GrantQuerySet(models.QuerySet["Grant"]):
    """Questions about grants."""

    def in_force(self, at: Moment | None = None) -> GrantQuerySet:
        """Limit to grants that have not expired, now unless ``at`` says otherwise."""
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=at or timezone.now())
        )

    def held_by(self, user: User, at: Moment | None = None) -> GrantQuerySet:
        """Limit to the grants in force of the groups of ``user``."""
        return self.in_force(at).filter(group__in=Group.objects.of(user).values("pk"))

    def ids(self, resource_type: str) -> models.QuerySet[Grant, Any]:
        """Return the ids of the granted resources of one type, for use as a subquery."""
        return self.filter(resource_type=resource_type).values("resource_id")


class Grant(UuidModel):
    """The members of a group may use one resource."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="grants")
    resource_type = models.CharField(
        max_length=40, help_text="What is granted: a table, a folder or a source."
    )
    resource_id = models.CharField(
        max_length=200, help_text="The name of that table, folder or source."
    )
    tier = models.CharField(
        max_length=20,
        choices=Tier.choices,
        default=Tier.REQUIRED,
        help_text="How the tables reach the laptops of the group.",
    )
    expires_at = models.DateTimeField(
        "expires", null=True, blank=True, help_text="The grant ends at this time; empty: never."
    )
    created_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField("created", auto_now_add=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["group__name", "resource_type", "resource_id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["group", "resource_type", "resource_id"],
                name="grant_unique",
                violation_error_message="The group holds this grant already.",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["resource_type", "resource_id"], name="grant_resource"),
            models.Index(fields=["group", "expires_at"], name="grant_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.resource_type} {self.resource_id}"

    @property
    def is_in_force(self) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or self.expires_at > timezone.now()
