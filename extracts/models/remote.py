"""What is known of the remote tables of a source."""

from __future__ import annotations

from django.db import models

from catalog.models import Source


class RemoteCatalog(models.Model):
    """What was seen when the catalog of a source with remote tables was last attached.

    ``attach`` says how that is done, without a secret; ``views`` hold schema, table and columns by
    the id of the registered table. Both stay as they were while the source is out of reach.
    """

    source = models.OneToOneField(
        Source, primary_key=True, on_delete=models.CASCADE, related_name="remote_catalog"
    )
    attach = models.JSONField(default=dict)
    views = models.JSONField(default=dict)
    missing = models.JSONField(default=dict)
    # What the last look was about: it is time for another when settings or tables differ.
    looked_for = models.CharField(max_length=64, blank=True)
    looked_at = models.DateTimeField(null=True)
    next_look_at = models.DateTimeField("next look", null=True)
    failures = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Remote catalog of {self.source.slug}"
