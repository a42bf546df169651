"""Tokens over HTTP: made in a browser, shown once, ended at once."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from access.models import AccessToken, AuditEvent, TokenKind
from access.services import tokens
from tests.conftest import ApiClient

TOKENS = "/auth/tokens"
JSON = {"content_type": "application/json"}


@pytest.fixture
def browser(analyst) -> Client:
    """The analyst, signed in by browser."""
    client = Client()
    client.force_login(analyst)
    return client


class TestCreateToken:
    def test_shows_the_secret_once(self, browser, analyst):
        response = browser.post(TOKENS, {"name": "my laptop", "expires_in_days": 30}, **JSON)

        assert response.status_code == 201
        found = response.json()
        assert ApiClient(found["token"]).get("/api/me").json()["email"] == analyst.email
        (listed,) = browser.get(TOKENS).json()
        assert "token" not in listed
        assert (listed["id"], listed["name"], listed["kind"]) == (found["id"], "my laptop", "pat")
        assert found["token"].startswith(listed["prefix"])
        event = AuditEvent.objects.get(action="token.create")
        assert found["token"] not in str(vars(event))

    @pytest.mark.parametrize(("given", "days"), [({}, 90), ({"expires_in_days": 3650}, 3650)])
    def test_ends_after_the_days_that_were_asked_for(self, browser, given, days):
        browser.post(TOKENS, {"name": "x", **given}, **JSON)

        ends = AccessToken.objects.get().expires_at
        assert abs(ends - timezone.now() - timedelta(days=days)) < timedelta(minutes=1)

    def test_never_ends_when_that_was_asked_for(self, browser):
        made = browser.post(TOKENS, {"name": "x", "expires_in_days": None}, **JSON)

        assert made.json()["expires_at"] is None

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": "x" * 101}, {"name": "x", "expires_in_days": 0},
         {"name": "x", "expires_in_days": 3651}, {"name": "x", "expires_in_days": -1},
         {"name": "x", "expires_in_days": "soon"}],
    )  # fmt: skip
    def test_refuses_what_cannot_be(self, browser, body):
        response = browser.post(TOKENS, body, **JSON)

        assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
        assert not AccessToken.objects.exists()

    def test_is_not_for_a_token(self, api):
        response = api.post(TOKENS, {"name": "another"}, **JSON)

        assert (response.status_code, response.json()["code"]) == (403, "session_required")
        assert AccessToken.objects.count() == 1


class TestListTokens:
    def test_returns_the_callers_own(self, api, admin):
        tokens.create(user=admin, name="hers", by=None)

        listed = api.get(TOKENS).json()

        assert [token["name"] for token in listed] == ["test"]

    def test_says_when_each_was_used(self, api):
        api.get("/api/me")
        tokens.uses.flush()

        (listed,) = api.get(TOKENS).json()

        assert listed["last_used_at"] is not None
        assert AccessToken.objects.get().last_used_ip == "127.0.0.1"


class TestRevokeToken:
    def test_ends_a_token_at_once(self, api, analyst):
        other = tokens.create(user=analyst, name="lost laptop", by=None)
        assert ApiClient(other.secret).get("/api/me").status_code == 200

        response = api.delete(f"{TOKENS}/{other.token.pk}")

        assert (response.status_code, response.content) == (204, b"")
        assert ApiClient(other.secret).get("/api/me").status_code == 401
        listed = {token["name"]: token for token in api.get(TOKENS).json()}
        assert listed["lost laptop"]["revoked_at"] is not None

    def test_twice_is_as_good_as_once(self, api, analyst):
        other = tokens.create(user=analyst, name="lost laptop", by=None)
        api.delete(f"{TOKENS}/{other.token.pk}")
        first = AccessToken.objects.get(pk=other.token.pk).revoked_at

        assert api.delete(f"{TOKENS}/{other.token.pk}").status_code == 204
        assert AccessToken.objects.get(pk=other.token.pk).revoked_at == first
        assert AuditEvent.objects.filter(action="token.revoke").count() == 1

    def test_of_somebody_else_is_404_as_if_there_were_none(self, api, admin):
        hers = tokens.create(user=admin, name="hers", by=None)

        for token_id in (hers.token.pk, uuid4()):
            response = api.delete(f"{TOKENS}/{token_id}")
            assert (response.status_code, response.json()["code"]) == (404, "token_not_found")
        assert ApiClient(hers.secret).get("/api/me").status_code == 200


class TestTokenExpiry:
    def test_cannot_lie_in_the_past(self, analyst):
        with pytest.raises(tokens.TokenExpiryError):
            tokens.create(
                user=analyst, name="x", by=None, expires_at=timezone.now() - timedelta(seconds=1)
            )

    @pytest.mark.parametrize("kind", list(TokenKind))
    def test_of_every_kind_is_kept_to(self, analyst, kind):
        made = tokens.create(
            user=analyst, name="x", by=None, kind=kind,
            expires_at=timezone.now() + timedelta(hours=1),
        )  # fmt: skip
        client = ApiClient(made.secret)
        assert client.get("/api/me").status_code == 200

        AccessToken.objects.update(expires_at=timezone.now())

        assert client.get("/api/me").status_code == 401
