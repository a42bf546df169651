"""Who is calling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from access.auth import caller_of_token, caller_of_user
from access.models import ADMIN, EVERYONE, Grant, Group
from access.services import groups, tokens


def _token(user, **options) -> str:
    return tokens.create(user=user, name="test", by=None, **options).secret


class TestTokens:
    def test_a_generated_token_is_well_formed_and_a_changed_one_is_not(self):
        secret = tokens.generate(tokens.TokenKind.PAT)

        assert tokens.is_well_formed(secret)
        assert not tokens.is_well_formed(secret[:-1] + ("0" if secret[-1] != "0" else "1"))
        assert not tokens.is_well_formed("agn_pat_")

    def test_only_its_hash_is_kept(self, analyst):
        secret = _token(analyst)

        row = analyst.tokens.values().get()
        assert secret not in str(row)
        assert row["hash"] == tokens.hash_of(secret)


class TestCallerOfToken:
    def test_takes_one_query(self, analyst, django_assert_num_queries):
        secret = _token(analyst)

        with django_assert_num_queries(1):
            caller = caller_of_token(secret)

        assert caller is not None
        assert caller.user == analyst
        assert not caller.user.is_admin

    def test_a_malformed_token_costs_no_query(self, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert caller_of_token("agn_pat_not-a-token") is None

    def test_knows_an_administrator(self, admin):
        caller = caller_of_token(_token(admin))

        assert caller is not None
        assert caller.user.is_admin

    @pytest.mark.parametrize("end", ["revoked", "expired", "inactive"])
    def test_refuses_what_has_ended(self, analyst, end):
        made = tokens.create(
            user=analyst, name="test", by=None, expires_at=timezone.now() + timedelta(hours=1)
        )
        if end == "revoked":
            tokens.revoke(token=made.token, by=None)
        elif end == "expired":
            made.token.expires_at = timezone.now() - timedelta(seconds=1)
            made.token.save()
        else:
            groups.set_active(user=analyst, is_active=False, by=None)

        assert caller_of_token(made.secret) is None

    def test_has_the_same_stamps_as_the_caller_of_a_session(self, admin):
        by_token, by_session = caller_of_token(_token(admin)), caller_of_user(admin)

        assert by_token is not None
        assert by_token.group_stamps == by_session.group_stamps
        assert len(by_token.group_stamps) == 2


class TestFingerprint:
    def test_moves_when_a_grant_expires(self, analyst):
        group = Group.objects.create(name="Readers")
        groups.add_member(group=group, user=analyst, by=None)
        secret = _token(analyst)
        soon = timezone.now() + timedelta(hours=1)
        given = Grant.objects.create(
            group=group, resource_type="table", resource_id="orders", expires_at=soon
        )
        before = caller_of_token(secret).fingerprint

        Grant.objects.filter(pk=given.pk).update(expires_at=timezone.now() - timedelta(minutes=1))

        assert caller_of_token(secret).fingerprint != before

    def test_stays_when_nothing_changed(self, analyst):
        secret = _token(analyst)

        assert caller_of_token(secret).fingerprint == caller_of_token(secret).fingerprint


class TestUses:
    def test_that_cannot_be_written_down_refuse_nobody(self, analyst, monkeypatch):
        def locked(*args: object) -> None:
            raise OperationalError("database is locked")

        monkeypatch.setattr(tokens, "_FLUSH_SECONDS", 0)
        monkeypatch.setattr(tokens._Uses, "_write", locked)

        assert caller_of_token(_token(analyst)) is not None


class TestGroupsOfSomebody:
    def test_are_none_once_they_are_inactive(self, analyst):
        assert [group.name for group in Group.objects.of(analyst)] == [EVERYONE]

        analyst.is_active = False

        assert not Group.objects.of(analyst).exists()


class TestAdministrators:
    def test_the_last_one_cannot_leave(self, admin):
        membership = admin.memberships.get(group__name=ADMIN)

        with pytest.raises(groups.LastAdminError):
            groups.remove_member(membership=membership, by=admin)
        with pytest.raises(groups.LastAdminError):
            groups.set_active(user=admin, is_active=False, by=admin)


class TestAdminUser:
    @pytest.mark.parametrize(
        ("limits", "status"),
        [
            ({}, 200),
            ({"scopes": ["admin"]}, 200),
            ({"scopes": ["read"]}, 403),
            ({"only": ["orders"]}, 403),
            ({"only": ["orders"], "scopes": ["admin"]}, 403),
        ],
    )
    def test_keeps_limited_tokens_out(self, client, admin, limits, status):
        secret = _token(admin, **limits)

        response = client.get("/api/admin/groups", headers={"Authorization": f"Bearer {secret}"})

        assert response.status_code == status
