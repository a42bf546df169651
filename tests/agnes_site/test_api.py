"""What every answer of the API has in common."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import SESSION_KEY
from django.db import IntegrityError, OperationalError, transaction
from django.test import Client, RequestFactory

from access.models import AccessToken, Grant, Group, Membership
from access.services import tokens
from agnes_site import api as site_api
from agnes_site.core.errors import LimitExceededError, UpstreamError
from tests.conftest import ApiClient
from tests.factories import GroupFactory, SourceFactory, TableFactory, UserFactory

REGISTER = "/api/admin/register-table"


def _error(response, status: int, code: str) -> dict:
    """Assert that an answer is the error in all the ways that clients read, and return it."""
    assert response.status_code == status, response.content
    body = response.json()
    assert body["code"] == code
    assert isinstance(body["message"], str)
    assert body["message"]
    assert isinstance(body["hint"], str)
    assert isinstance(body["details"], dict)
    assert body["request_id"] == response["X-Request-Id"]
    detail = body["detail"]
    assert detail["code"] == detail["reason"] == detail["kind"] == detail["error"] == code
    assert (detail["message"], detail["hint"]) == (body["message"], body["hint"])
    return body


def _grant_twice() -> None:
    group = GroupFactory()
    for _ in range(2):
        Grant.objects.create(group=group, resource_type="table", resource_id="orders")


def _token_twice() -> None:
    user = UserFactory()
    for _ in range(2):
        AccessToken.objects.create(user=user, hash="the same")


class TestErrors:
    def test_without_a_token_is_401(self, client, db):
        response = client.get("/api/catalog/tables")

        _error(response, 401, "not_signed_in")
        assert response["WWW-Authenticate"] == "Bearer"

    def test_for_administrators_only_is_403(self, api):
        _error(api.get("/api/admin/registry"), 403, "admin_required")

    @pytest.mark.parametrize("path", ["/api/nothing", "/auth/nothing", "/cli/nothing", "/api/"])
    def test_an_unknown_address_is_404(self, api, path):
        _error(api.get(path), 404, "not_found")

    def test_an_id_that_is_none_is_422(self, admin_api):
        _error(admin_api.get("/api/runs/not-an-id"), 422, "request_invalid")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/api/catalog/tables"), ("DELETE", "/api/sync/manifest"), ("PATCH", REGISTER)],
    )
    def test_another_method_is_405(self, admin_api, method, path):
        response = admin_api.generic(method, path)

        _error(response, 405, "method_not_allowed")
        assert "GET" in response["Allow"] or "POST" in response["Allow"]

    @pytest.mark.parametrize(
        "body", [b"{", b"", b"\xff\xfe", b"[1,", b'{"name": NaN}', b'{"name": "\\ud800"}']
    )
    def test_a_body_that_is_no_json_is_422(self, admin_api, body):
        response = admin_api.post(REGISTER, body, content_type="application/json")

        _error(response, 422, "request_invalid")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": 7}, "name"),
            ({"name": ["orders"]}, "name"),
            ({"name": "orders", "options": "x"}, "options"),
            ({"name": "orders", "primary_key": {"a": 1}}, "primary_key"),
            ({"name": "orders", "query_mode": "sideways"}, "query_mode"),
            ({"name": "orders", "incremental_window_days": "soon"}, "incremental_window_days"),
            ({"name": "orders", "colour": "red"}, "colour"),
        ],
    )
    def test_a_field_of_the_wrong_type_is_422_and_named(self, admin_api, body, field):
        response = admin_api.post(REGISTER, body, content_type="application/json")

        found = _error(response, 422, "request_invalid")
        assert any(field in problem["field"] for problem in found["details"]["problems"])

    @pytest.mark.parametrize("body", ["[]", '"orders"', "7", "null"])
    def test_a_body_of_another_kind_is_422(self, admin_api, body):
        response = admin_api.post(REGISTER, body, content_type="application/json")

        _error(response, 422, "request_invalid")

    @pytest.mark.parametrize("field", ["name", "description", "bucket"])
    def test_a_text_with_a_nul_character_is_422(self, admin_api, field):
        SourceFactory(slug="shop")
        body = {"name": "orders", "source": "shop", field: "a\0b"}

        response = admin_api.post(REGISTER, body, content_type="application/json")

        _error(response, 422, "request_invalid")

    def test_a_nul_character_in_an_address_is_404(self, api):
        _error(api.get("/api/data/a%00b/check-access"), 404, "not_found")

    def test_a_nul_character_in_a_query_is_422(self, api):
        _error(api.get("/api/catalog/tables?source=a%00b"), 422, "request_invalid")

    def test_a_body_nested_without_end_is_422(self, admin_api):
        body = '{"name": "orders", "options": ' + '{"a":' * 900 + "1" + "}" * 901

        response = admin_api.post(REGISTER, body, content_type="application/json")

        assert "nested" in _error(response, 422, "request_invalid")["message"]

    def test_a_body_that_is_too_large_is_413(self, admin_api, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        body = {"name": "orders", "description": "x" * 2000}

        response = admin_api.post(REGISTER, body, content_type="application/json")

        _error(response, 413, "request_too_large")

    def test_a_conflict_is_409(self, admin_api):
        TableFactory(name="orders", source=SourceFactory(slug="shop"))
        body = {"name": "orders", "source": "shop"}

        response = admin_api.post(REGISTER, body, content_type="application/json")

        found = _error(response, 409, "table_exists")
        assert found["details"] == {"table": "orders"}
        assert found["detail"]["table"] == "orders"

    @pytest.mark.parametrize("version", ["9" * 30, "-1", "0"])
    def test_a_number_beyond_all_bounds_is_not_found(self, api, analyst, grant, version):
        grant(analyst, TableFactory(name="orders"))

        response = api.get(f"/api/data/orders/download?version={version}")

        assert response.status_code == 404
        assert response.json()["code"] in ("version_not_found", "nothing_to_download")

    def test_a_number_that_is_none_is_422(self, api):
        response = api.get("/api/data/orders/download?version=two")

        _error(response, 422, "request_invalid")

    @pytest.mark.parametrize(
        ("lose", "said"),
        [
            (lambda: GroupFactory(name="ADMIN"), "There is a group with this name already."),
            (_grant_twice, "The group holds this grant already."),
            (_token_twice, "Somebody else made the same at the same time."),
        ],
    )
    def test_a_race_that_was_lost_is_409(self, rf: RequestFactory, db, lose, said):
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            lose()

        response = site_api.api.on_exception(rf.get("/api/x"), caught.value)

        told = json.loads(response.content)
        assert response.status_code == 409
        assert (told["code"], told["message"]) == ("changed_meanwhile", said)

    def test_what_is_gone_meanwhile_is_409(self, rf: RequestFactory, transactional_db):
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            Membership.objects.create(user=UserFactory(), group=Group(name="gone"))

        response = site_api.api.on_exception(rf.get("/api/x"), caught.value)

        told = json.loads(response.content)
        assert (response.status_code, told["code"]) == (409, "changed_meanwhile")
        assert "removed at the same time" in told["message"]

    def test_a_rule_that_is_broken_is_said_in_words(self, rf: RequestFactory, db):
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            TableFactory(source_query="SELECT 1")

        response = site_api.api.on_exception(rf.get("/api/x"), caught.value)

        told = json.loads(response.content)
        assert (response.status_code, told["code"]) == (422, "rule_broken")
        assert told["message"] == "Only a materialized table has a source query."

    @pytest.mark.parametrize(
        "blunder",
        [lambda: Membership.objects.create(), lambda: SourceFactory(concurrency=0)],
        ids=["missing", "rule-without-words"],
    )
    def test_our_own_mistake_is_nobody_elses(self, rf: RequestFactory, db, blunder):
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            blunder()

        response = site_api.api.on_exception(rf.get("/api/x"), caught.value)

        assert response.status_code == 500
        assert json.loads(response.content)["code"] == "internal_error"

    def test_never_show_what_went_wrong_inside(self, rf: RequestFactory, db):
        request = rf.get("/api/catalog/tables")

        response = site_api.api.on_exception(request, RuntimeError("secret path /etc/x"))

        assert response.status_code == 500
        assert json.loads(response.content)["code"] == "internal_error"
        assert b"secret" not in response.content


class TestBadRequest:
    @pytest.mark.parametrize(
        ("path", "kind"), [("/api/health", "application/json"), ("/admin/", "text/html")]
    )
    def test_answers_programs_in_json(self, path, kind):
        response = Client(headers={"Host": "evil.example"}).get(path)

        assert response.status_code == 400
        assert response["Content-Type"].startswith(kind)

    def test_is_what_is_too_long_to_be_looked_for(self, admin_api):
        response = admin_api.post(
            REGISTER, {"name": "x" * 100_000, "source": "shop"}, content_type="application/json"
        )

        assert response.status_code == 422


class TestTroubleWithTheDatabaseFile:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("database or disk is full", "storage_full"),
            ("disk I/O error", "storage_failed"),
            ("attempt to write a readonly database", "storage_failed"),
        ],
    )
    def test_is_called_what_it_is(self, rf, text, code):
        response = site_api.api.on_exception(rf.get("/api/x"), OperationalError(text))

        assert json.loads(response.content)["code"] == code


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("error", "status", "seconds"),
        [
            (UpstreamError("The source is busy.", retry_after=7), 502, "7"),
            (LimitExceededError("Too much.", retry_after_seconds=90), 429, "90"),
            (OperationalError("database is locked"), 503, "2"),
        ],
    )
    def test_is_said_where_it_is_known(self, rf, error, status, seconds):
        response = site_api.api.on_exception(rf.get("/api/x"), error)

        assert (response.status_code, response["Retry-After"]) == (status, seconds)

    def test_is_not_said_where_it_is_not(self, rf):
        response = site_api.api.on_exception(rf.get("/api/x"), UpstreamError("It failed."))

        assert "Retry-After" not in response


class TestHeaders:
    def test_of_every_answer_name_the_request(self, client, db):
        given = client.get("/api/health", headers={"X-Request-Id": "trace-1"})
        strange = client.get("/api/health", headers={"X-Request-Id": "a b\tc"})

        assert given["X-Request-Id"] == "trace-1"
        assert strange["X-Request-Id"] not in ("", "a b\tc")

    @pytest.mark.parametrize("path", ["/api/health", "/api/nothing", "/api/catalog/tables"])
    def test_of_the_api_tell_clients_which_versions_there_are(self, client, db, path):
        response = client.get(path)

        assert response["X-Agnes-Latest-Version"] == "1.0.0"
        assert response["X-Agnes-Min-Version"] == "0.0.0"


class TestBrowserSession:
    @pytest.fixture
    def browser(self, analyst) -> Client:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(analyst)
        return browser

    def test_may_read(self, browser):
        assert browser.get("/api/me").json()["email"] == "ana@example.com"

    def test_may_not_change_without_the_token_of_the_page(self, browser):
        response = browser.post("/auth/tokens", {"name": "x"}, content_type="application/json")

        _error(response, 403, "csrf_failed")
        assert AccessToken.objects.count() == 0

    def test_may_change_with_it(self, browser):
        browser.get("/accounts/login/")
        browser.cookies["csrftoken"] = "a" * 32

        response = browser.post(
            "/auth/tokens", {"name": "x"}, content_type="application/json",
            headers={"X-CSRFToken": "a" * 32, "Referer": "http://testserver/"},
        )  # fmt: skip

        assert response.status_code == 201

    def test_is_not_looked_at_when_a_token_is_sent(self, browser):
        response = browser.get("/api/me", headers={"Authorization": "Bearer agn_pat_wrong"})

        assert SESSION_KEY in browser.session
        _error(response, 401, "not_signed_in")


class TestScopes:
    def test_keep_an_administrators_token_out_of_administration(self, admin):
        narrow = tokens.create(user=admin, name="read", by=None, scopes=["read"]).secret
        wide = tokens.create(user=admin, name="all", by=None, scopes=["admin"]).secret

        assert ApiClient(narrow).get("/api/admin/registry").status_code == 403
        assert ApiClient(wide).get("/api/admin/registry").status_code == 200
