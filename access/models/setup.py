"""The code that the first administrator is made with."""

from __future__ import annotations

from django.db import models

from agnes_site.core.database import UuidModel


class SetupCode(UuidModel):
    """A one-time code, shown on the server's console; gone once somebody has used it."""

    digest = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"until {self.expires_at:%Y-%m-%d %H:%M} UTC"
