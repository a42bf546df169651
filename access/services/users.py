"""Users: made and changed by administrators."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from access.models import User
from access.services import audit
from agnes_site.core.errors import ConflictError, InvalidInputError

EDITABLE = ("email", "name", "attributes")


class UserExistsError(ConflictError):
    """There is a user with this e-mail already."""

    code = "user_exists"
    hint = "Activate or change the existing user."


class PasswordWeakError(InvalidInputError):
    """The password is too easy to guess."""

    code = "password_weak"
    hint = "Take a longer one, such as four words that have nothing to do with each other."


@transaction.atomic
def create_user(*, email: str, by: User | None, name: str = "", password: str = "") -> User:
    """Make an active user; without ``password`` they cannot sign in by one.

    Raises:
        UserExistsError: the e-mail is taken, in whatever case it is written.
        PasswordWeakError: the password is too easy to guess.
    """
    _check_email(email)
    user = User(email=User.objects.normalize_email(email), name=name)
    if password:
        _check_password(password, user)
    user.set_password(password or None)
    user.full_clean()
    user.save()
    audit.record(
        action="user.create", resource=f"user/{user.pk}", actor=by,
        after=audit.snapshot(user, EDITABLE),
    )  # fmt: skip
    return user


@transaction.atomic
def change_user(*, user: User, by: User | None, **fields: Any) -> list[str]:
    """Change what ``fields`` name, of :data:`EDITABLE`; return the names of what was changed.

    Raises:
        UserExistsError: the new e-mail is taken by another user.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    before = audit.snapshot(user, EDITABLE)
    if "email" in fields:
        _check_email(fields["email"], but=user)
    changed = [name for name, value in fields.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, fields[name])
    user.full_clean()
    user.save(update_fields=changed)
    if changed:
        after = audit.snapshot(user, EDITABLE)
        audit.record(
            action="user.change", resource=f"user/{user.pk}", actor=by,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )  # fmt: skip
    return changed


@transaction.atomic
def set_password(*, user: User, password: str, by: User | None) -> None:
    """Give a user a new password; browsers that are signed in with the old one are signed out.

    Raises:
        PasswordWeakError: it is too easy to guess.
    """
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(action="user.set_password", resource=f"user/{user.pk}", actor=by)


def _check_email(email: str, *, but: User | None = None) -> None:
    others = User.objects.filter(email__iexact=email)
    if but is not None:
        others = others.exclude(pk=but.pk)
    if others.exists():
        raise UserExistsError(f"There is a user with the e-mail {email} already.")


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordWeakError(" ".join(error.messages)) from None
