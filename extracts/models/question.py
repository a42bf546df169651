"""Questions that a source is asked while a person waits."""

from __future__ import annotations

from django.db import models

from access.models import User
from agnes_site.core.database import UuidModel
from catalog.models import Source


class QuestionKind(models.TextChoices):
    """What a source can be asked while a person waits."""

    TEST = "test", "Test the connection"
    DISCOVER = "discover", "Find tables"
    PREVIEW = "preview", "Preview"
    CHANGE = "change", "Look what a change would break"
    REGISTER = "register", "Register tables"


class QuestionState(models.TextChoices):
    """How far a question is."""

    ASKING = "asking", "Asking"
    ANSWERED = "answered", "Answered"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Question(UuidModel):
    """Something asked of a source while a person waits; the row is where the answer arrives.

    It holds neither settings nor secrets, and is forgotten after a day.
    """

    source = models.ForeignKey(
        Source, null=True, on_delete=models.CASCADE, related_name="questions"
    )
    kind = models.CharField(max_length=10, choices=QuestionKind.choices)
    state = models.CharField(
        max_length=10, choices=QuestionState.choices, default=QuestionState.ASKING
    )
    message = models.CharField(max_length=500, blank=True)
    answer = models.JSONField(null=True)
    error = models.JSONField(null=True)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField("asked", auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.source or ''}".strip()

    @property
    def is_open(self) -> bool:
        """Whether the answer is still to come."""
        return self.state == QuestionState.ASKING
