"""Sources, their secrets, and the folders that group tables."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower

from agnes_site.core import slugs
from agnes_site.core.database import UuidModel


def validate_slug(value: str) -> None:
    """Refuse what cannot be the name of a table, a source or a folder."""
    if not slugs.is_slug(value):
        raise ValidationError(
            "Use a letter or _ first, then up to 63 letters, digits or _, such as %(example)s.",
            code="slug",
            params={"example": slugs.slug(value)},
        )


class Source(UuidModel):
    """A configured upstream system."""

    slug = models.CharField(
        "name",
        max_length=64,
        validators=[validate_slug],
        help_text="Public id and name of its folder; never changes.",
    )
    source_type = models.CharField("type", max_length=40, help_text="Which connector serves it.")
    display_name = models.CharField(max_length=200, blank=True, help_text="Shown to people.")
    config = models.JSONField(
        "settings", default=dict, blank=True, help_text="Settings of the connector; no secrets."
    )
    schedule = models.CharField(
        max_length=100,
        blank=True,
        help_text="`every 6h`, `daily 07:00` (UTC) or `cron 0 7 * * 1-5 Europe/Prague`, for the "
        "tables without a schedule of their own.",
    )
    is_paused = models.BooleanField(
        "paused", default=False, help_text="Nothing of it runs until it is resumed, or asked for."
    )
    concurrency = models.PositiveSmallIntegerField(
        default=2, help_text="Runs of this source at the same time."
    )
    # Moves with every change of what the source's extract folder and analytics views show.
    stamp = models.UUIDField(default=uuid.uuid4, editable=False)
    extract_stamp = models.UUIDField(null=True, editable=False)
    analytics_stamp = models.UUIDField(null=True, editable=False)
    # SHA-256 of the extract.duckdb files that this server wrote, the newest last.
    extract_hashes = models.JSONField(default=list, editable=False)
    # What the last look at a foreign extract folder saw.
    scan_state = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField("created", auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("slug"),
                name="source_slug_unique",
                violation_error_message="There is a source with this name already.",
            ),
            models.CheckConstraint(
                name="source_concurrency_positive", condition=models.Q(concurrency__gte=1)
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.slug


class SourceSecret(UuidModel):
    """A secret of a source: encrypted here, or the name of an environment variable."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="secrets")
    key = models.CharField(max_length=64, help_text="Which secret of the connector this is.")
    ciphertext = models.BinaryField(null=True, editable=False)
    key_id = models.CharField(max_length=16, blank=True, editable=False)
    env_name = models.CharField(
        "environment variable",
        max_length=64,
        blank=True,
        help_text="Read the secret from this variable instead of storing it.",
    )
    changed_at = models.DateTimeField("changed", auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "key"], name="source_secret_unique"),
            models.CheckConstraint(
                name="source_secret_one_origin",
                condition=models.Q(ciphertext__isnull=True, env_name__gt="")
                | models.Q(ciphertext__isnull=False, env_name="", key_id__gt=""),
                violation_error_message="A secret is either stored or named, not both.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source.slug}: {self.key}"


class Folder(UuidModel):
    """A group of tables that can be granted as one."""

    slug = models.CharField("name", max_length=64, validators=[validate_slug])
    display_name = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("slug"),
                name="folder_slug_unique",
                violation_error_message="There is a folder with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.display_name or self.slug
