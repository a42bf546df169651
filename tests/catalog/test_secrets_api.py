from __future__ import annotations

import pytest
from pydantic import SecretStr

from catalog.services import secrets
from tests.factories import SourceFactory

CANARY = "canary-31c of the mine"
PASSWORD = "/api/admin/sources/vault/secrets/password"


@pytest.fixture
def source(db, layout, vault_type):
    return SourceFactory(slug="vault", source_type=vault_type, config={})


def put(api, body, path: str = PASSWORD):
    return api.put(path, body, content_type="application/json")


class TestSetSourceSecret:
    def test_keeps_a_value_and_does_not_repeat_it(self, admin_api, source):
        answer = put(admin_api, {"value": CANARY})

        assert answer.status_code == 200
        assert answer.json()["origin"] == "stored"
        assert "canary" not in answer.content.decode()
        assert secrets.secrets_of(source) == {"password": SecretStr(CANARY)}

    def test_names_a_variable(self, admin_api, source):
        answer = put(admin_api, {"environment": "KBC_TOKEN"}).json()

        assert (answer["origin"], answer["environment"]) == ("environment", "KBC_TOKEN")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "request_invalid"),
            ({"value": CANARY, "environment": "KBC_TOKEN"}, "request_invalid"),
            ({"value": CANARY, "extra": CANARY}, "request_invalid"),
            ({"value": [CANARY]}, "request_invalid"),
            ({"value": ""}, "secret_invalid"),
            ({"environment": ""}, "secret_invalid"),
            ({"environment": "SESSION_SECRET"}, "secret_variable_refused"),
        ],
    )
    def test_refuses_what_is_no_secret_without_repeating_it(self, admin_api, source, body, code):
        answer = put(admin_api, body)

        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert "canary" not in answer.content.decode()
        assert not source.secrets.exists()

    def test_knows_the_secrets_of_the_type(self, admin_api, source):
        answer = put(admin_api, {"value": "x"}, PASSWORD.replace("password", "other"))

        assert answer.json()["code"] == "secret_unknown"

    def test_knows_the_sources(self, admin_api, source):
        assert put(admin_api, {"value": "x"}, PASSWORD.replace("vault", "other")).status_code == 404


class TestListSourceSecrets:
    def test_says_where_each_comes_from(self, admin_api, source):
        put(admin_api, {"value": CANARY})

        answer = admin_api.get("/api/admin/sources/vault/secrets")

        found = answer.json()["secrets"]
        assert [(each["key"], each["required"], each["origin"]) for each in found] == [
            ("password", True, "stored"), ("pin", False, "missing"),
        ]  # fmt: skip
        assert "canary" not in answer.content.decode()


class TestForgetSourceSecret:
    def test_leaves_nothing(self, admin_api, source):
        put(admin_api, {"value": CANARY})

        assert admin_api.delete(PASSWORD).status_code == 204
        assert not source.secrets.exists()
