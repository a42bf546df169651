"""Rounds of the scrub: how far the reading of all stored files has come."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from agnes_site.core.database import UuidModel


class ScrubRound(UuidModel):
    """One reading of every stored file, in the order of their hashes, a little at a time.

    Going round in one order is reading the oldest-checked first, without a row for each file.
    """

    started_at = models.DateTimeField("started", auto_now_add=True)
    finished_at = models.DateTimeField("finished", null=True)
    position = models.CharField(max_length=64, blank=True, help_text="The last file that was read.")
    files = models.PositiveIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    bad_files = models.PositiveIntegerField(default=0, help_text="Damaged or missing.")

    class Meta:
        ordering: ClassVar = ["-started_at"]

    def __str__(self) -> str:
        return f"Round of {self.started_at:%Y-%m-%d %H:%M}"
