from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from access.models import User
from access.services import setup

PASSWORD = "four words nobody joins"
ADDRESS = "/first-time-setup"


@pytest.fixture
def send(client, db):
    def post(**changed):
        typed = {
            "code": setup.new_code().text, "email": "eve@example.com", "name": "Eve",
            "password": PASSWORD, "again": PASSWORD,
        }  # fmt: skip
        return client.post(ADDRESS, {**typed, **changed})

    return post


class TestFirstTimeSetup:
    def test_leads_from_the_front_door_to_the_overview(self, client, send):
        door = client.get("/", follow=True)
        assert door.redirect_chain[-1][0] == ADDRESS

        answer = send()

        assert answer.url == "/admin/"
        assert "Eve" in client.get("/admin/").content.decode()

    def test_is_gone_once_somebody_exists(self, client, analyst):
        assert client.get(ADDRESS).url == "/"
        assert client.post(ADDRESS, {"code": "x"}).url == "/"
        assert client.get("/accounts/login/").status_code == 200

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"code": "AAAA-AAAA-AAAA"}, "This is not the code"),
            ({"password": "short", "again": "short"}, "too short"),
            ({"again": "something else"}, "It differs from the password above."),
            ({"email": "nobody"}, "Enter a valid email address."),
            ({"code": ""}, "This field is required."),
        ],
    )
    def test_says_what_is_wrong_and_shows_no_password(self, send, changed, said):
        page = send(**changed).content.decode()

        assert said in page
        assert PASSWORD not in page
        assert not User.objects.exists()

    def test_keeps_what_was_typed_when_something_is_wrong(self, send):
        page = send(code="AAAA-AAAA-AAAA").content.decode()

        assert 'value="eve@example.com"' in page
        assert 'value="Eve"' in page

    def test_is_not_kept_by_caches(self, client, db):
        assert "no-store" in client.get(ADDRESS)["Cache-Control"]


@pytest.mark.django_db
class TestSetupCode:
    def test_prints_where_to_go_and_a_code_that_works(self, settings):
        out = io.StringIO()

        call_command("setup_code", stdout=out)

        (line,) = [line for line in out.getvalue().splitlines() if "one-time code" in line]
        assert f"{settings.CONFIG.server_url}{ADDRESS}" in out.getvalue()
        assert setup.make_first_admin(
            code=line.split()[2], email="eve@example.com", name="", password=PASSWORD
        ).is_admin
