"""The files themselves, over HTTP."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from access.models import AuditEvent, Grant
from access.services import tokens
from catalog.models import Table, TableName
from catalog.services.versions import Combined, StoredPart
from tests.conftest import ApiClient
from tests.factories import TableFactory, publish

CONTENT = bytes(range(256)) * 40


def _stored(layout, content: bytes = CONTENT, key: str = "") -> StoredPart:
    sha256 = hashlib.sha256(content).hexdigest()
    path = layout.stored(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return StoredPart(key=key, sha256=sha256, md5="0" * 32, bytes=len(content), rows=1)


@pytest.fixture
def table(layout, analyst, grant):
    """A granted table with a file in the store."""
    found = TableFactory(name="orders")
    publish(found, _stored(layout))
    grant(analyst, found)
    return found


URL = "/api/data/orders/download"


def _body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.usefixtures("table")
class TestDownload:
    def test_sends_the_whole_file(self, api):
        response = api.get(URL)

        assert response.status_code == 200
        assert _body(response) == CONTENT
        assert response["Content-Length"] == str(len(CONTENT))
        assert response["Accept-Ranges"] == "bytes"
        assert response["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
        assert response["Repr-Digest"].startswith("sha-256=:")

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=100-199", 100, 199),
            ("bytes=10200-", 10200, 10239),
            ("bytes=-40", 10200, 10239),
            ("bytes=10000-99999", 10000, 10239),
        ],
    )
    def test_sends_a_range(self, api, asked, first, last):
        response = api.get(URL, headers={"Range": asked})

        assert response.status_code == 206
        assert response["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
        assert _body(response) == CONTENT[first : last + 1]
        assert response["Content-Length"] == str(last - first + 1)

    @pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
    def test_refuses_a_range_outside_of_the_file(self, api, asked):
        response = api.get(URL, headers={"Range": asked})

        assert response.status_code == 416
        assert response["Content-Range"] == f"bytes */{len(CONTENT)}"

    @pytest.mark.parametrize("asked", ["lines=1-2", "bytes=5-2", "bytes=1-2,4-5", "bytes=-"])
    def test_sends_everything_for_a_range_it_does_not_know(self, api, asked):
        assert api.get(URL, headers={"Range": asked}).status_code == 200

    def test_compares_if_range(self, api):
        etag = api.get(URL)["ETag"]

        same = api.get(URL, headers={"Range": "bytes=5-9", "If-Range": etag})
        other = api.get(URL, headers={"Range": "bytes=5-9", "If-Range": '"another"'})

        assert (same.status_code, other.status_code) == (206, 200)

    def test_answers_304_for_the_same_file(self, api):
        etag = api.get(URL)["ETag"]

        response = api.get(URL, headers={"If-None-Match": etag})

        assert response.status_code == 304
        assert response.content == b""

    def test_answers_head_without_a_body(self, api):
        response = api.head(URL)

        assert response.status_code == 200
        assert response["Content-Length"] == str(len(CONTENT))

    def test_sends_an_older_version_by_its_number(self, api, table, layout):
        publish(table, _stored(layout, b"new content"))

        assert _body(api.get(URL)) == b"new content"
        assert _body(api.get(f"{URL}?version=1")) == CONTENT
        missing = api.get(f"{URL}?version=9")
        assert (missing.status_code, missing.json()["code"]) == (404, "version_not_found")

    def test_lets_the_web_server_send_it_where_one_is_configured(self, api, settings):
        settings.CONFIG = settings.CONFIG.model_copy(update={"x_accel_prefix": "/store/"})
        sha256 = hashlib.sha256(CONTENT).hexdigest()

        response = api.get(URL)
        resumed = api.get(URL, headers={"Range": "bytes=5-9", "If-Range": f'"{sha256}"'})

        assert response["X-Accel-Redirect"] == f"/store/{sha256[:2]}/{sha256}.parquet"
        assert response.content == b""
        assert _body(resumed) == CONTENT[5:10]

    def test_costs_three_statements(self, api, django_assert_num_queries):
        # Who calls, which file they may have, and the line in the audit.
        with django_assert_num_queries(3):
            assert api.get(URL).status_code == 200

    @pytest.mark.parametrize("name", ["ORDERS", "sales%20orders", "Auftr%C3%A4ge"])
    def test_finds_it_by_any_of_its_names(self, api, table, name):
        for alias in ("Sales Orders", "Aufträge"):
            TableName.objects.create(table=table, name=alias)

        assert _body(api.get(f"/api/data/{name}/download")) == CONTENT

    def test_ends_with_the_grant(self, api):
        assert api.get(URL).status_code == 200
        Grant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        assert api.get(URL).status_code == 404

    @pytest.mark.parametrize(("only", "status"), [(["orders"], 200), (["customers"], 404)])
    def test_is_limited_by_the_token(self, analyst, only, status):
        secret = tokens.create(user=analyst, name="narrow", by=None, only=only).secret

        assert ApiClient(secret).get(URL).status_code == status

    def test_of_a_table_that_stays_on_the_server_is_refused(self, api, admin_api, table):
        Table.objects.filter(pk=table.pk).update(server_only=True)

        for caller in (api, admin_api):
            answer = caller.get(URL)
            assert (answer.status_code, answer.json()["code"]) == (403, "server_only")
            assert "Query it on the server." in answer.json()["hint"]

    def test_is_open_to_administrators(self, admin_api):
        assert _body(admin_api.get(URL)) == CONTENT

    def test_is_written_into_the_audit(self, api, analyst):
        api.get(URL)

        event = AuditEvent.objects.get(action="data.download")
        assert event.actor == analyst
        assert event.resource == "table/orders"

    @pytest.mark.parametrize("asked", ["bytes=1-", "bytes=-50", "items=0-5"])
    def test_is_written_into_the_audit_whatever_part_is_asked_for(self, api, asked):
        api.get(URL, headers={"Range": asked})

        assert AuditEvent.objects.get(action="data.download").after["range"] == asked

    def test_says_so_when_the_file_is_missing(self, api, layout):
        for file in layout.store.rglob("*.parquet"):
            file.unlink()

        response = api.get(URL)

        assert response.status_code == 500
        assert response.json()["code"] == "stored_file_missing"


class TestTableOfSeveralParts:
    def test_sends_each_part_by_its_hash(self, api, analyst, grant, layout):
        table = TableFactory(name="issues")
        first, second = _stored(layout, b"first", key="a"), _stored(layout, b"second", key="b")
        publish(table, first, second)
        grant(analyst, table)
        url = "/api/data/issues/download"

        assert _body(api.get(f"{url}?part={second.sha256}")) == b"second"
        whole = api.get(url)
        assert (whole.status_code, whole.json()["code"]) == (409, "several_parts")

    def test_sends_the_one_file_of_all_parts_where_there_is_one(self, api, analyst, grant, layout):
        table = TableFactory(name="issues")
        parts = _stored(layout, b"first", key="a"), _stored(layout, b"second", key="b")
        whole = _stored(layout, b"first and second")
        combined = Combined(sha256=whole.sha256, md5=whole.md5, bytes=whole.bytes)
        publish(table, *parts, combined=combined)
        publish(table, _stored(layout, b"third"))
        grant(analyst, table)

        assert _body(api.get("/api/data/issues/download?version=1")) == b"first and second"

    def test_sends_no_part_of_another_table(self, api, analyst, grant, layout):
        granted, secret = TableFactory(name="issues"), _stored(layout, b"secret")
        publish(granted, _stored(layout, b"first", key="a"), _stored(layout, b"second", key="b"))
        publish(TableFactory(name="salaries"), secret)
        grant(analyst, granted)

        response = api.get(f"/api/data/issues/download?part={secret.sha256}")

        assert (response.status_code, response.json()["code"]) == (404, "version_not_found")


class TestWithoutAGrant:
    @pytest.mark.parametrize("name", ["orders", "no_such_table", "../orders", "a%2Fb"])
    def test_a_table_looks_like_one_that_does_not_exist(self, api, layout, name):
        publish(TableFactory(name="orders"), _stored(layout))

        for url in (f"/api/data/{name}/download", f"/api/data/{name}/check-access"):
            response = api.get(url)
            assert response.status_code == 404
            assert response.json()["code"] in ("table_not_found", "not_found")

    def test_nobody_learns_of_the_table_from_the_text(self, api, layout):
        publish(TableFactory(name="orders"), _stored(layout))

        known, unknown = (
            api.get(f"/api/data/{name}/download").json() for name in ("orders", "ordess")
        )

        assert known["message"].replace("orders", "ordess") == unknown["message"]


@pytest.mark.usefixtures("table")
class TestCheckAccess:
    def test_answers_204_for_a_granted_table(self, api):
        assert api.get("/api/data/orders/check-access").status_code == 204
