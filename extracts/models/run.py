"""Runs: each one attempt at one piece of work."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from access.models import User
from agnes_site.core.database import UuidModel
from catalog.models import Source, Table
from extracts.models.moments import is_over


class RunKind(models.TextChoices):
    """What a run does."""

    EXTRACT = "extract", "Extract"
    PUBLISH = "publish", "Publish"
    REBUILD = "rebuild", "Rebuild"
    PROFILE = "profile", "Profile"


class RunState(models.TextChoices):
    """Where a run is in its life."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SKIPPED = "skipped", "Skipped"


class RunTrigger(models.TextChoices):
    """Why a run was asked for."""

    MANUAL = "manual", "By a person"
    API = "api", "Through the API"
    SCHEDULE = "schedule", "By schedule"
    SCAN = "scan", "Found by the scan"
    SYSTEM = "system", "By the system"


class RunOutcome(models.TextChoices):
    """What a run that succeeded has brought."""

    NEW = "new", "A new version"
    SAME = "same", "The same as before"
    UNREAD = "unread", "Nothing new at the source"


OPEN_STATES = (RunState.QUEUED, RunState.RUNNING)
LOG_LIMIT = 20_000


class RunQuerySet(models.QuerySet["Run"]):
    """Questions about runs."""

    def open(self) -> RunQuerySet:
        """Limit to runs that are queued or running."""
        return self.filter(state__in=OPEN_STATES)

    def abandoned(self) -> RunQuerySet:
        """Limit to running runs whose worker let the lease pass."""
        return self.filter(is_over("lease_until", timezone.now()), state=RunState.RUNNING)


class Run(UuidModel):
    """One attempt at one piece of work. The row is the truth, the queued task only a bell."""

    source = models.ForeignKey(Source, null=True, on_delete=models.CASCADE, related_name="runs")
    table = models.ForeignKey(Table, null=True, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=10, choices=RunKind.choices, default=RunKind.EXTRACT)
    trigger = models.CharField(max_length=10, choices=RunTrigger.choices, default=RunTrigger.MANUAL)
    # A full run of an incremental table reads everything anew.
    is_full = models.BooleanField("in full", default=False, editable=False)
    requested_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.QUEUED)
    phase = models.CharField(max_length=40, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    message = models.CharField(max_length=500, blank=True)
    rows = models.BigIntegerField(null=True)
    bytes = models.BigIntegerField(null=True)
    rejected_rows = models.BigIntegerField(
        "rejected", default=0, help_text="Rows that could not be read and were left out."
    )
    version_number = models.PositiveIntegerField(null=True)
    outcome = models.CharField(
        max_length=10, choices=RunOutcome.choices, blank=True, editable=False
    )
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, blank=True)
    fencing = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    error_hint = models.TextField(blank=True)
    log = models.TextField(blank=True)
    queued_at = models.DateTimeField("queued", auto_now_add=True)
    # The slot of its schedule that a scheduled run stands for.
    due_at = models.DateTimeField("due", null=True, editable=False)
    # When its task was last sent: a run whose bell is fresh is not rung for again.
    rung_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField("started", null=True)
    finished_at = models.DateTimeField("finished", null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-queued_at"]
        constraints: ClassVar = [
            # Single flight: one open run for one piece of work.
            models.UniqueConstraint(
                fields=["table", "kind"],
                name="run_one_open_per_table",
                condition=Q(state__in=OPEN_STATES, table__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["source", "kind"],
                name="run_one_open_per_source",
                condition=Q(state__in=OPEN_STATES, table__isnull=True, source__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["kind"],
                name="run_one_open_per_kind",
                condition=Q(state__in=OPEN_STATES, table__isnull=True, source__isnull=True),
            ),
            # One run for one slot of a schedule, whoever finds it due.
            models.UniqueConstraint(
                fields=["table", "due_at"],
                name="run_one_per_slot",
                condition=Q(due_at__isnull=False, table__isnull=False),
            ),
            models.CheckConstraint(
                name="run_running_has_lease",
                condition=~Q(state=RunState.RUNNING) | Q(lease_until__isnull=False),
            ),
            models.CheckConstraint(
                name="run_table_with_source",
                condition=Q(table__isnull=True) | Q(source__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "lease_until"], name="run_state_lease"),
            models.Index(fields=["state", "-queued_at"], name="run_state_recent"),
            models.Index(fields=["table", "-queued_at"], name="run_table_recent"),
            models.Index(fields=["-queued_at"], name="run_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.subject}"

    @property
    def subject(self) -> Table | Source | str:
        """Of what it is: a table, a source, or everything."""
        return self.table or self.source or "everything"

    @property
    def is_open(self) -> bool:
        """Whether the run is queued or running."""
        return self.state in OPEN_STATES
