"""The demo's administrator and analyst, and where their sign-ins are kept."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from access.models import ADMIN, AccessToken, Group, User
from access.services import groups, tokens, users
from agnes_site.core.storage import write_private
from agnes_site.core.version import VERSION

ANALYSTS = "Analysts"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who can sign in to the demo."""

    email: str
    password: str
    token: str


@dataclass(frozen=True, kw_only=True)
class People:
    """Who is in the demo."""

    admin: Person
    analyst: Person


def meet(file: Path, *, url: str) -> People:
    """Return the two people of the demo; ``file`` (0600) keeps their sign-ins between starts."""
    known = _read(file)
    people = People(
        admin=_person(known.get("admin", {}), "ada@example.com", "Ada Admin"),
        analyst=_person(known.get("analyst", {}), "ana@example.com", "Ana Analyst"),
    )
    admin = User.objects.get(email=people.admin.email)
    analyst = User.objects.get(email=people.analyst.email)
    _put_into(Group.objects.get(name=ADMIN), admin)
    _put_into(_analysts(admin), analyst)
    content = {"version": VERSION, "url": url, **asdict(people)}
    write_private(file, json.dumps(content, indent=2).encode() + b"\n")
    return people


def _person(known: dict[str, str], email: str, name: str) -> Person:
    user = User.objects.filter(email=email).first()
    password = known.get("password") or secrets.token_urlsafe(9)
    if user is None:
        user = users.create_user(email=email, password=password, name=name, by=None)
    elif not user.check_password(password):
        users.set_password(user=user, password=password, by=None)
    token = known.get("token", "")
    is_valid = AccessToken.objects.filter(
        user=user, hash=tokens.hash_of(token), revoked_at__isnull=True
    ).exists()
    if not is_valid:
        token = tokens.create(user=user, name="demo", by=None).secret
    return Person(email=email, password=password, token=token)


def _analysts(admin: User) -> Group:
    found = Group.objects.filter(name=ANALYSTS).first()
    return found or groups.create_group(
        name=ANALYSTS, description="They answer questions with data.", by=admin
    )


def _put_into(group: Group, user: User) -> None:
    if not group.memberships.filter(user=user).exists():
        groups.add_member(group=group, user=user, by=None)


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found
