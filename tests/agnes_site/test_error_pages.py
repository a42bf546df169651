"""What people see instead of a page."""

from __future__ import annotations

import json

import pytest
from django.db import InterfaceError, OperationalError

from agnes_site.api import failed


def test_an_address_that_leads_nowhere_leads_back(client, db):
    response = client.get("/admin-of-something-else/")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()


def fail(rf, path, error):
    """Answer for an error that came out of a page."""
    try:
        raise error
    except type(error):
        return failed(rf.get(path))


def test_a_failure_says_whom_to_tell(rf):
    response = fail(rf, "/", ValueError("s3cr3t"))

    assert response.status_code == 500
    assert "tell whoever runs this server" in response.content.decode()
    assert "s3cr3t" not in response.content.decode()


def test_a_failure_on_the_way_to_the_api_is_told_as_its_others(rf):
    response = fail(rf, "/api/catalog/tables", ValueError("s3cr3t"))

    assert (response.status_code, json.loads(response.content)["code"]) == (500, "internal_error")
    assert "s3cr3t" not in response.content.decode()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_worth_another_try(rf, error):
    page, answer = (fail(rf, path, error("s3cr3t")) for path in ("/admin/", "/api/me"))

    assert (page.status_code, answer.status_code) == (503, 503)
    assert "The database does not answer" in page.content.decode()
    assert json.loads(answer.content)["code"] == "database_unavailable"
    assert page["Retry-After"] == answer["Retry-After"] == "2"
    assert b"s3cr3t" not in page.content + answer.content
