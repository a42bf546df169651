"""`manage.py grant_admin`."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from access.auth import caller_of_token
from access.models import AuditEvent, User
from access.services import groups, users
from access.services.users import PasswordWeakError

PASSWORD = "four words nobody joins"


@pytest.fixture
def grant_admin(db, monkeypatch):
    def run(email: str = "eve@example.com", *words: str, given: str = PASSWORD) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{given}\n"))
        out = io.StringIO()
        call_command("grant_admin", email, *words, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    return run


def _actions() -> set[str]:
    return set(AuditEvent.objects.values_list("action", flat=True))


class TestGrantAdmin:
    def test_makes_the_first_administrator(self, grant_admin):
        grant_admin("eve@example.com", "--password-stdin")

        eve = User.objects.get(email="eve@example.com")
        assert eve.is_admin
        assert eve.check_password(PASSWORD)
        assert _actions() == {"user.create", "user_group.member_added"}

    def test_prints_a_token_that_works(self, grant_admin):
        secret = grant_admin("eve@example.com", "--password-stdin", "--token", "shell").strip()

        assert caller_of_token(secret).user.is_admin

    def test_gives_somebody_a_new_password(self, grant_admin, analyst):
        grant_admin(analyst.email, "--password-stdin")

        analyst.refresh_from_db()
        assert analyst.check_password(PASSWORD)
        assert "user.set_password" in _actions()

    def test_lets_an_administrator_in_who_was_kept_out(self, grant_admin, admin):
        users.create_user(email="bob@example.com", by=None)
        bob = User.objects.get(email="bob@example.com")
        groups.add_member(group=admin.memberships.get().group, user=bob, by=None)
        groups.set_active(user=admin, is_active=False, by=None)

        grant_admin(admin.email)

        assert User.objects.get(pk=admin.pk).is_admin

    def test_can_be_repeated(self, grant_admin):
        grant_admin("eve@example.com", "--password-stdin")
        grant_admin("EVE@example.com")

        assert User.objects.count() == 1

    def test_refuses_what_cannot_be_an_address_or_a_password(self, grant_admin):
        with pytest.raises(CommandError, match="valid email"):
            grant_admin("nobody", "--password-stdin")
        with pytest.raises(PasswordWeakError):
            grant_admin("eve@example.com", "--password-stdin", given="short")
        with pytest.raises(CommandError, match="password"):
            grant_admin("eve@example.com", "--password-stdin", given="")
        assert not User.objects.exists()
