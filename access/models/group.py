"""Groups, and who is in them for which reason."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

from access.models.user import User
from agnes_site.core.database import UuidModel

ADMIN = "Admin"
EVERYONE = "Everyone"


class GroupQuerySet(models.QuerySet["Group"]):
    """Questions about groups."""

    def of(self, user: User) -> GroupQuerySet:
        """Limit to the groups of ``user``: those with a membership, and Everyone."""
        if not user.is_active:
            return self.none()
        joined = Membership.objects.filter(user_id=user.pk)
        return self.filter(models.Q(name=EVERYONE) | models.Q(pk__in=joined.values("group")))


class Group(UuidModel):
    """A set of users that grants are given to.

    Every active user is in Everyone by construction; it has no rows of membership.
    """

    name = models.CharField(
        max_length=100,
        validators=[
            RegexValidator(
                r"\A[\w][\w .@+&/-]*\Z",
                "Use letters, digits, spaces and the characters . _ @ + & / -",
            )
        ],
        help_text="Unique, compared without case.",
    )
    description = models.CharField(max_length=500, blank=True)
    is_system = models.BooleanField(
        "system group",
        default=False,
        editable=False,
        help_text="Admin and Everyone: always there, never renamed.",
    )
    external_id = models.CharField(
        max_length=320, blank=True, help_text="The address or id of the same group elsewhere."
    )
    stamp = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField("created", auto_now_add=True)

    objects = GroupQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("name"),
                name="group_name_unique",
                violation_error_message="There is a group with this name already.",
            ),
            models.CheckConstraint(
                name="group_system_has_its_name",
                condition=models.Q(is_system=False) | models.Q(name__in=[ADMIN, EVERYONE]),
                violation_error_message="A system group cannot be renamed.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipSource(models.TextChoices):
    """Why somebody is in a group."""

    ADMIN = "admin", "Added by an administrator"
    GOOGLE_SYNC = "google_sync", "Google group"
    OIDC_CLAIM = "oidc_claim", "Claim at sign-in"
    SYSTEM_SEED = "system_seed", "Set up with the system"
    CLI_BREAK_GLASS = "cli_break_glass", "Emergency access"


class Membership(UuidModel):
    """A user is in a group, for one reason; several reasons are several memberships."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    source = models.CharField(
        max_length=20, choices=MembershipSource.choices, default=MembershipSource.ADMIN
    )
    added_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    added_at = models.DateTimeField("added", auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["group__name", "user__email"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "group", "source"],
                name="membership_unique",
                violation_error_message="The user is in this group already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"
