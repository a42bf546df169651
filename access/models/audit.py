"""The record of who did what, chained so that a removed line is noticed."""

from __future__ import annotations

from typing import ClassVar

from django.db import connection, models
from django.utils import timezone

from access.models.user import User
from agnes_site.core.database import UuidModel

# One look into the index for each action there is, however many events.
_ACTIONS = """
    WITH RECURSIVE known(action) AS (
        SELECT min(action) FROM access_auditevent
        UNION ALL
        SELECT (SELECT min(action) FROM access_auditevent WHERE action > known.action)
        FROM known WHERE known.action IS NOT NULL
    )
    SELECT action FROM known WHERE action IS NOT NULL
"""


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    """Questions about the audit."""

    def actions(self) -> list[str]:
        """Return each action that was ever recorded, once."""
        with connection.cursor() as cursor:
            cursor.execute(_ACTIONS)
            return [action for (action,) in cursor.fetchall()]


class AuditEvent(UuidModel):
    """One thing that somebody did, written in the transaction of the change itself.

    ``seq``, ``prev_hash`` and ``hash`` stay empty until the event is sealed into the chain.
    """

    seq = models.BigIntegerField(null=True, editable=False)
    prev_hash = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001 (unsealed)
    hash = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001 (unsealed)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    on_behalf_of = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    action = models.CharField(max_length=60)
    resource = models.CharField(max_length=260, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    result = models.CharField(max_length=200, default="ok")
    duration_ms = models.PositiveIntegerField(null=True)
    ip = models.GenericIPAddressField(null=True)
    client_kind = models.CharField(max_length=20, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["seq"], name="audit_seq_unique"),
            models.CheckConstraint(
                name="audit_sealed_whole",
                condition=models.Q(seq__isnull=True, prev_hash__isnull=True, hash__isnull=True)
                | models.Q(seq__isnull=False, prev_hash__isnull=False, hash__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            # What was read most is answered by this index alone.
            models.Index(fields=["action", "at", "resource"], name="audit_action"),
            models.Index(fields=["resource", "action", "at"], name="audit_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.resource}".strip()

    @property
    def resource_type(self) -> str:
        """What kind of thing it is about: `table` where ``resource`` is `table/orders`."""
        return self.resource.partition("/")[0]

    @property
    def resource_id(self) -> str:
        """Which thing it is about: `orders` where ``resource`` is `table/orders`."""
        return self.resource.partition("/")[2]
