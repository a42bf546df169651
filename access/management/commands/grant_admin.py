"""`manage.py grant_admin EMAIL`: make somebody an administrator, from the server's own shell."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.models import ADMIN, Group, MembershipSource, User
from access.services import groups, tokens, users


class Command(BaseCommand):
    """Make a user an administrator; the user is created if there is none with this e-mail."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the e-mail and what else to do for the user."""
        parser.add_argument("email")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
        parser.add_argument(
            "--token", metavar="NAME", help="also make a token of this name, and print it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing; safe to repeat."""
        try:
            user = _user(options["email"], from_stdin=options["password_stdin"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if not user.is_active:
            groups.set_active(user=user, is_active=True, by=None)
        if not user.is_admin:
            groups.add_member(
                group=Group.objects.get(name=ADMIN),
                user=user,
                by=None,
                source=MembershipSource.CLI_BREAK_GLASS,
            )
        self.stderr.write(f"{user.email} is an administrator.", self.style.SUCCESS)
        if options["token"]:
            made = tokens.create(user=user, name=options["token"], by=user)
            self.stdout.write(made.secret)


def _user(email: str, *, from_stdin: bool) -> User:
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        return users.create_user(email=email, password=_password(from_stdin=from_stdin), by=None)
    if from_stdin:
        users.set_password(user=user, password=_password(from_stdin=True), by=None)
    return user


def _password(*, from_stdin: bool) -> str:
    given = sys.stdin.readline().rstrip("\n") if from_stdin else getpass.getpass("New password: ")
    if not given:
        raise CommandError("An administrator needs a password.")
    return given
