import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import TableFactory

TABLES = reverse("admin:catalog_table_changelist")


@pytest.fixture
def pages(client, admin):
    TableFactory(name="orders")
    TableFactory(name="salaries")
    client.force_login(admin)
    return client


def on_the_list(pages, **asked):
    """Ask as somebody who is on the list already."""
    return pages.get(TABLES, asked, headers={"Referer": f"http://testserver{TABLES}"})


def names(response) -> list[str]:
    return [table.name for table in response.context["cl"].result_list]


class TestList:
    def test_is_as_it_was_left(self, pages):
        on_the_list(pages, q="ord", o="-1")

        response = pages.get(TABLES, follow=True)

        assert response.redirect_chain == [(f"{TABLES}?q=ord&o=-1", 302)]
        assert names(response) == ["orders"]

    def test_is_left_in_one_session_only(self, pages, admin):
        on_the_list(pages, q="ord")
        other = Client()
        other.force_login(admin)

        assert names(other.get(TABLES)) == ["orders", "salaries"]

    def test_is_whole_again_when_the_last_limit_is_taken_away(self, pages):
        on_the_list(pages, q="ord")

        assert names(on_the_list(pages)) == ["orders", "salaries"]
        assert names(pages.get(TABLES)) == ["orders", "salaries"]

    def test_is_whole_again_by_a_link(self, pages):
        on_the_list(pages, q="ord")

        assert names(pages.get(f"{TABLES}?all", follow=True)) == ["orders", "salaries"]
        assert names(pages.get(TABLES)) == ["orders", "salaries"]

    def test_forgets_an_empty_search(self, pages):
        on_the_list(pages, q="ord")
        on_the_list(pages, q="")

        assert names(pages.get(TABLES)) == ["orders", "salaries"]

    def test_forgets_what_cannot_be_shown(self, pages):
        on_the_list(pages, p="7")

        response = pages.get(TABLES, follow=True)

        assert response.status_code == 200
        assert names(on_the_list(pages)) == ["orders", "salaries"]

    def test_does_not_keep_what_another_page_asked_for(self, pages):
        home = {"Referer": "http://testserver/admin/"}

        assert names(pages.get(TABLES, {"q": "ord"}, headers=home)) == ["orders"]
        assert names(pages.get(TABLES)) == ["orders", "salaries"]

    def test_is_not_remembered_for_a_choice_in_a_window(self, pages):
        on_the_list(pages, q="ord")

        assert names(pages.get(TABLES, {"_popup": "1"})) == ["orders", "salaries"]
