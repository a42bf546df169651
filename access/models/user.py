"""People and service accounts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.functional import cached_property

from agnes_site.core.database import UuidModel

if TYPE_CHECKING:
    from access.models.token import AccessToken


class UserManager(BaseUserManager["User"]):
    """Creates users; an e-mail address is stored as typed and compared without case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user; without ``password`` they cannot sign in by password."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user with this e-mail address, in whatever case it is written."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, UuidModel):
    """Somebody who may sign in. What they may do follows from their groups alone."""

    email = models.EmailField("e-mail", help_text="Used to sign in; compared without case.")
    name = models.CharField(max_length=200, blank=True, help_text="Shown beside the e-mail.")
    is_active = models.BooleanField(
        "active", default=True, help_text="An inactive user keeps their history and loses access."
    )
    attributes = models.JSONField(
        default=dict, blank=True, help_text="Facts about the person that policies may use."
    )
    manifest_stamp = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField("created", auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    # The token that the present request came with; its restrictions narrow what is readable.
    token: AccessToken | None = None

    class Meta:
        ordering: ClassVar = ["email"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message="There is a user with this e-mail already.",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @cached_property
    def is_admin(self) -> bool:
        """Whether the user is an active member of the group Admin."""
        from access.models.group import ADMIN, Membership  # noqa: PLC0415 (models refer to each other)

        return (
            self.is_active
            and not self._state.adding
            and Membership.objects.filter(user=self, group__name=ADMIN).exists()
        )

    # What Django's admin asks: both follow from the membership, neither is a column.
    @property
    def is_staff(self) -> bool:
        """Whether the user may open the admin."""
        return self.is_admin

    @property
    def is_superuser(self) -> bool:
        """Whether the user may do everything in the admin."""
        return self.is_admin

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Say whether the user may do ``perm`` in the admin."""
        return self.is_admin

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        """Say whether the user may do all of ``perm_list`` in the admin."""
        return self.is_admin

    def has_module_perms(self, app_label: str) -> bool:
        """Say whether the user may see an app in the admin."""
        return self.is_admin

    def get_full_name(self) -> str:
        """Return the name to address the user by."""
        return str(self)

    def get_short_name(self) -> str:
        """Return the name to address the user by, in short."""
        return str(self)
