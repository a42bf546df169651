"""The first administrator, made by whoever can read the server's console."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from access.models import ADMIN, Group, MembershipSource, SetupCode, User
from access.services import audit, groups, users
from agnes_site.core.database import one_at_a_time
from agnes_site.core.errors import ConflictError, InvalidInputError

LIFETIME = timedelta(hours=24)
TRIES = 10
# Without what looks alike on a console.
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH, _GROUP = 12, 4


class SetupDoneError(ConflictError):
    """There is a user already: the first administrator is made only once."""

    code = "setup_done"
    hint = "Sign in, or let an administrator make you an account."


class SetupCodeWrongError(InvalidInputError):
    """The code is not the one on the console, or no longer accepted."""

    code = "setup_code_wrong"
    hint = "`manage.py setup_code`, run on the server, prints a new one."


@dataclass(frozen=True, kw_only=True)
class NewCode:
    """A code to be shown once; ``text`` is kept nowhere."""

    text: str
    expires_at: datetime


def is_open() -> bool:
    """Say whether the first administrator is still to be made."""
    return not User.objects.exists()


@transaction.atomic
def new_code() -> NewCode:
    """Make a code in place of the one before.

    Raises:
        SetupDoneError: there is a user already.
    """
    one_at_a_time("setup")
    _ensure_open()
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    expires_at = timezone.now() + LIFETIME
    SetupCode.objects.all().delete()
    SetupCode.objects.create(digest=_digest(drawn), expires_at=expires_at, tries_left=TRIES)
    groups_of_four = (drawn[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))
    return NewCode(text="-".join(groups_of_four), expires_at=expires_at)


def make_first_admin(*, code: str, email: str, name: str, password: str) -> User:
    """Make the first user, who is an administrator; of several at once one succeeds.

    Raises:
        SetupDoneError: there is a user already.
        SetupCodeWrongError: the code is wrong, too old, or was tried too often.
        PasswordWeakError: the password is too easy to guess; the code stays good.
    """
    # By itself, so that a wrong try is counted although nothing else is kept.
    if not _try_code(code):
        raise SetupCodeWrongError("This is not the code, or it is no longer good.")
    return _make(email=email, name=name, password=password)


@transaction.atomic
def _try_code(code: str) -> bool:
    one_at_a_time("setup")
    _ensure_open()
    live = SetupCode.objects.filter(expires_at__gt=timezone.now(), tries_left__gt=0).first()
    if live is None:
        return False
    if hmac.compare_digest(live.digest, _digest(code)):
        return True
    SetupCode.objects.filter(pk=live.pk).update(tries_left=F("tries_left") - 1)
    return False


@transaction.atomic
def _make(*, email: str, name: str, password: str) -> User:
    one_at_a_time("setup")
    _ensure_open()
    user = users.create_user(email=email, name=name, password=password, by=None)
    groups.add_member(
        group=Group.objects.get(name=ADMIN), user=user, by=None, source=MembershipSource.SYSTEM_SEED
    )
    SetupCode.objects.all().delete()
    audit.record(action="setup.done", resource=f"user/{user.pk}", actor=user)
    return user


def _ensure_open() -> None:
    if not is_open():
        raise SetupDoneError("The first administrator has been made already.")


def _digest(code: str) -> str:
    plain = "".join(letter for letter in code.upper() if letter in _ALPHABET)
    return salted_hmac("access.setup", plain, algorithm="sha256").hexdigest()
