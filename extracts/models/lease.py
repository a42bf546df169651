"""Leases on what is not a run."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """The right to work on something that is not a run, until a time."""

    name = models.CharField(max_length=200, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    fencing = models.BigIntegerField(default=0)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
