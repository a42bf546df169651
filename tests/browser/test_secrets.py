import pytest
from django.urls import reverse
from playwright.sync_api import expect
from pydantic import SecretStr

from catalog.services import secrets
from tests import handed
from tests.browser import axe
from tests.factories import SourceFactory

# The server of these tests reads what was committed; the seeded groups come back after each one.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def source(transactional_db, layout, vault_type):
    made = SourceFactory(slug="vault", source_type=vault_type, config={})
    handed.set_secret(source=made, key="password", value=SecretStr("stored one"))
    handed.name_variable(source=made, key="pin", variable="AGNES_SOURCE_PIN")
    return made


@pytest.fixture
def form(admin_page, live_server, source):
    admin_page.goto(live_server.url + reverse("admin:catalog_source_change", args=[source.pk]))
    return admin_page


class TestSecretsOfASource:
    def test_are_replaced_by_typing(self, form, source):
        expect(form.get_by_role("textbox", name="Password")).to_have_value("")
        form.get_by_role("textbox", name="Password").fill("new one")
        form.get_by_role("button", name="Save", exact=True).click()

        expect(form.get_by_text("was changed successfully")).to_be_visible()
        found = secrets.secrets_with(source, {"pin": secrets.FORGOTTEN})
        assert found == {"password": SecretStr("new one")}

    def test_say_what_is_wrong_with_a_variable(self, form):
        expect(form.get_by_text("AGNES_SOURCE_PIN is not set")).to_be_visible()

    def test_open_by_keyboard(self, form):
        form.get_by_text("Take it from an environment variable").first.focus()
        form.keyboard.press("Enter")

        expect(form.locator("#id_secret_password_variable")).to_be_visible()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [390, 1280])
    def test_can_be_read_by_everybody(self, form, scheme, width):
        form.emulate_media(color_scheme=scheme)
        form.set_viewport_size({"width": width, "height": 1200})
        form.reload()
        form.get_by_text("Take it from an environment variable").first.click()
        form.locator("#id_secret_password").scroll_into_view_if_needed()

        assert [line for line in axe.found_on(form) if "secret" in line] == []
