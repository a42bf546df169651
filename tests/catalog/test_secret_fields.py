from __future__ import annotations

import pytest
from django.urls import reverse
from pydantic import SecretStr

from catalog.models import Source
from catalog.services import secrets
from tests import handed
from tests.factories import SourceFactory

CANARY = "  canary-5b2 ' \" of the mine "


@pytest.fixture
def source(db, layout, vault_type) -> Source:
    return SourceFactory(slug="vault", source_type=vault_type, config={})


@pytest.fixture
def kept(source) -> Source:
    handed.set_secret(source=source, key="password", value=SecretStr(CANARY))
    return source


@pytest.fixture
def add(client, admin, layout, vault_type):
    client.force_login(admin)

    def send(**typed):
        address = f"{reverse('admin:catalog_source_add')}?source_type={vault_type}"
        return client.post(address, {"slug": "vault", "concurrency": 2, **typed}, follow=True)

    return send


@pytest.fixture
def change(client, admin, source):
    client.force_login(admin)

    def send(**typed):
        address = reverse("admin:catalog_source_change", args=[source.pk])
        return client.post(address, {"concurrency": 2, **typed}, follow=True)

    return send


@pytest.fixture
def shown(client, admin, source):
    client.force_login(admin)

    def get() -> str:
        address = reverse("admin:catalog_source_change", args=[source.pk])
        return client.get(address).content.decode()

    return get


def revealed(source: Source) -> dict[str, str]:
    found = secrets.secrets_of(source)
    return {key: value.get_secret_value() for key, value in found.items()}


class TestAddingASource:
    def test_keeps_the_typed_secret_to_the_letter(self, add):
        page = add(secret_password=CANARY).content.decode()

        assert revealed(Source.objects.get(slug="vault")) == {"password": CANARY}
        assert "canary" not in page

    def test_asks_for_a_secret_that_is_needed(self, add):
        page = add().content.decode()

        assert "Type it, or name the variable that holds it." in page
        assert not Source.objects.filter(slug="vault").exists()

    def test_marks_a_secret_as_needed_and_lets_the_browser_send_a_variable(self, add):
        page = add().context["adminform"].form["secret_password"]

        assert page.field.required
        assert "required" not in str(page)

    def test_takes_a_variable_instead(self, add, monkeypatch):
        monkeypatch.setenv("AGNES_SOURCE_VAULT", "from outside")

        add(secret_password_variable="AGNES_SOURCE_VAULT")

        assert revealed(Source.objects.get(slug="vault")) == {"password": "from outside"}

    def test_refuses_a_variable_of_the_server_at_its_field(self, add):
        page = add(secret_password_variable="SESSION_SECRET").content.decode()

        assert "The variable SESSION_SECRET may not be used for secrets." in page
        assert "AGNES_SECRET_VARIABLES" in page

    def test_refuses_both_at_once(self, add):
        page = add(secret_password=CANARY, secret_password_variable="KBC_TOKEN").content.decode()

        assert "either typed or named" in page
        assert "canary" not in page

    def test_shows_no_secret_when_something_else_is_wrong(self, add):
        page = add(slug="not a name", secret_password=CANARY).content.decode()

        assert "Use a letter or _ first" in page
        assert "canary" not in page


class TestChangingASource:
    def test_keeps_what_is_left_empty(self, change, kept):
        change(display_name="Vault of the mine", secret_password="")

        assert revealed(kept) == {"password": CANARY}

    def test_replaces_what_is_typed(self, change, kept):
        change(secret_password="new one")

        assert revealed(kept) == {"password": "new one"}

    def test_goes_from_stored_to_variable_and_back(self, change, kept, monkeypatch):
        monkeypatch.setenv("KBC_TOKEN", "from outside")

        change(secret_password_variable="KBC_TOKEN")
        assert revealed(kept) == {"password": "from outside"}

        change(secret_password="typed", secret_password_variable="KBC_TOKEN")
        assert revealed(kept) == {"password": "typed"}

    def test_forgets_what_is_to_be_forgotten(self, change, kept):
        change(secret_password_forget="on")

        assert not kept.secrets.exists()

    def test_keeps_all_or_nothing(self, change, kept):
        change(display_name="Other", secret_password="new", secret_pin_variable="DATABASE_URL")

        kept.refresh_from_db()
        assert (kept.display_name, revealed(kept)) == ("", {"password": CANARY})


class TestSourcePage:
    def test_says_when_a_secret_was_stored_and_nothing_of_it(self, shown, kept):
        page = shown()

        assert "Stored, encrypted," in page
        assert "canary" not in page

    def test_says_from_which_variable_a_secret_comes_and_that_it_is_missing(self, shown, source):
        handed.name_variable(source=source, key="password", variable="AGNES_SOURCE_V")

        page = shown()

        assert "Read from the variable <code>AGNES_SOURCE_V</code>." in page
        assert "The environment variable AGNES_SOURCE_V is not set." in page

    def test_opens_when_the_key_is_lost_and_says_so(self, shown, kept, layout):
        (layout.state / "keys" / "secrets").unlink()

        assert "its key is gone. Type it again." in shown()

    def test_opens_when_the_keys_are_damaged_and_says_so(self, shown, kept, layout):
        (layout.state / "keys" / "secrets").write_text("nonsense\n")

        assert "holds something that is not a key" in shown()
