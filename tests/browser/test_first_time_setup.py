import pytest
from playwright.sync_api import expect

from access.services import setup
from tests.browser import axe

# The server of these tests reads what was committed; the seeded groups come back after each one.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]
PASSWORD = "four words nobody joins"


@pytest.fixture
def door(page, live_server, settings):
    """The front door of an installation without users."""
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    code = setup.new_code().text
    page.goto(live_server.url)
    page.wait_for_url("**/first-time-setup")
    return code


def fill(page, **typed):
    for name, text in typed.items():
        page.locator(f"#id_{name}").fill(text)
    page.get_by_role("button", name="Make the administrator").click()


class TestFirstTimeSetup:
    def test_leads_a_newcomer_from_the_front_door_to_the_overview(self, page, door, complaints):
        fill(
            page, code="AAAA-AAAA-AAAA", email="eve@example.com", name="Eve",
            password=PASSWORD, again=PASSWORD,
        )  # fmt: skip
        expect(page.get_by_role("alert")).to_contain_text("manage.py setup_code")

        fill(page, code=door.lower(), password=PASSWORD, again="other")
        expect(page.get_by_role("alert")).to_contain_text("It differs from the password above.")

        fill(page, password=PASSWORD, again=PASSWORD)
        page.wait_for_url("**/admin/")
        expect(page.locator(".ag-verdict")).to_contain_text("waits for its first source")
        assert complaints == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [390, 1280])
    def test_can_be_read_by_everybody(self, page, door, scheme, width, tmp_path):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()

        assert axe.found_on(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
