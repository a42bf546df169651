"""Versions and their parts: which bytes a table is."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from agnes_site.core.database import UuidModel
from catalog.models.table import Table


class TableVersion(UuidModel):
    """One published state of a table."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    run_id = models.UUIDField(null=True, editable=False)
    fencing = models.BigIntegerField()
    # The parts as one file, for clients that know only one; null with one part or a large table.
    combined_sha256 = models.CharField(max_length=64, null=True)  # noqa: DJ001 (null: none made)
    combined_md5 = models.CharField(max_length=32, null=True)  # noqa: DJ001 (null: none made)
    combined_bytes = models.BigIntegerField(null=True)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    schema = models.JSONField()
    schema_hash = models.CharField(max_length=64)
    min_reader = models.CharField(max_length=20, default="1.0.0")
    extract_state = models.JSONField(default=dict)
    created_at = models.DateTimeField("published", auto_now_add=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["table", "number"], name="version_number_unique"),
            models.CheckConstraint(
                name="version_combined_whole",
                condition=Q(
                    combined_sha256__isnull=True,
                    combined_md5__isnull=True,
                    combined_bytes__isnull=True,
                )
                | Q(
                    combined_sha256__isnull=False,
                    combined_md5__isnull=False,
                    combined_bytes__isnull=False,
                ),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["combined_sha256"], name="version_combined")]

    def __str__(self) -> str:
        return f"{self.table.name} version {self.number}"


class TablePart(UuidModel):
    """One file of a version, in the store under its SHA-256."""

    version = models.ForeignKey(TableVersion, on_delete=models.CASCADE, related_name="parts")
    slice = models.CharField(max_length=64, null=True)  # noqa: DJ001 (null: all rows)
    ordinal = models.PositiveIntegerField()
    key = models.CharField(max_length=128, blank=True)
    sha256 = models.CharField(max_length=64, db_index=True)
    md5 = models.CharField(max_length=32)
    bytes = models.BigIntegerField()
    rows = models.BigIntegerField()
    min_key = models.JSONField(null=True)
    max_key = models.JSONField(null=True)

    class Meta:
        ordering: ClassVar = ["ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "key"], name="part_key_unique", condition=Q(slice__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["version", "slice", "key"],
                name="part_slice_key_unique",
                condition=Q(slice__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.key or self.sha256[:12]
