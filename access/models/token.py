"""Access tokens: how programs sign in."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from access.models.user import User
from agnes_site.core.database import UuidModel


class TokenKind(models.TextChoices):
    """What a token is for."""

    PAT = "pat", "Personal"
    CLI = "cli", "Command line"
    SVC = "svc", "Service"


class AccessToken(UuidModel):
    """A secret that stands for a user; only its hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=3, choices=TokenKind.choices, default=TokenKind.PAT)
    name = models.CharField(max_length=100, help_text="Where the token is used, such as a laptop.")
    hash = models.CharField(max_length=64, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    scopes = models.JSONField(
        default=list,
        blank=True,
        help_text='["read"] keeps the token out of administration; empty: all the user may do.',
    )
    only = models.JSONField(
        default=list, blank=True, help_text="Names of the only tables to be read; empty: all."
    )
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField("created", auto_now_add=True)

    class Meta:
        verbose_name = "token"
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hash"], name="token_hash_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"
