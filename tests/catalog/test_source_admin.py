import json
import threading

import pytest
from django.urls import reverse

from access.models import AuditEvent
from catalog.models import Source, Table
from extracts.services import questions
from tests.admin_pages import page_of
from tests.factories import SourceFactory, TableFactory, publish

JSON = {"Accept": "application/json"}


@pytest.fixture
def source(tmp_path):
    return SourceFactory(slug="crm", config={"folder": str(tmp_path)})


def add_url(source_type="files") -> str:
    return f"{reverse('admin:catalog_source_add')}?source_type={source_type}"


def filled(**fields) -> dict[str, str]:
    return {"slug": "crm", "concurrency": "2", "_save": "Save", **fields}


class TestForm:
    def test_is_saved_by_a_script_that_is_told_where_to_go_on(self, pages, tmp_path):
        response = pages.post(add_url(), filled(setting_folder=str(tmp_path)), headers=JSON)

        source = Source.objects.get()
        next_step = reverse("admin:catalog_source_do", args=[source.pk, "find"])
        assert response.json() == {"next": next_step}

    def test_tells_a_script_what_is_wrong_at_which_field(self, pages):
        response = pages.post(add_url(), filled(setting_folder="relative"), headers=JSON)

        assert response.status_code == 422
        assert response.json() == {
            "errors": {"setting_folder": ["Give the whole path, beginning with /."]}
        }

    def test_tells_a_script_that_a_name_is_taken(self, pages, source, tmp_path):
        response = pages.post(add_url(), filled(setting_folder=str(tmp_path)), headers=JSON)

        assert list(response.json()["errors"]) == ["slug"]

    def test_shows_the_steps_and_a_test_of_the_connection(self, pages):
        page = pages.get(add_url()).content.decode()

        assert "Choose tables" in page
        assert "Test connection" in page
        assert "Save and choose tables" in page


class TestChange:
    def test_of_settings_is_kept_back_while_tables_are_at_stake(self, pages, source, tmp_path):
        TableFactory(source=source)

        response = pages.post(page_of(source), filled(setting_folder="/other"), headers=JSON)

        assert list(response.json()["errors"]) == ["is_sure"]
        source.refresh_from_db()
        assert source.config == {"folder": str(tmp_path)}

    def test_of_settings_is_saved_when_a_person_is_sure(self, pages, source):
        TableFactory(source=source)

        pages.post(page_of(source), filled(setting_folder="/other", is_sure="on"), headers=JSON)

        source.refresh_from_db()
        assert source.config == {"folder": "/other"}

    @pytest.mark.parametrize("has_tables", [True, False])
    def test_of_anything_harmless_is_saved_at_once(self, pages, source, tmp_path, has_tables):
        if has_tables:
            TableFactory(source=source)
        folder = str(tmp_path) if has_tables else "/other"

        response = pages.post(
            page_of(source), filled(setting_folder=folder, display_name="CRM"), headers=JSON
        )

        assert response.status_code == 200
        source.refresh_from_db()
        assert source.display_name == "CRM"


class TestTrial:
    def url(self, key="test", source=None) -> str:
        subject = f"source={source.pk}" if source else "source_type=files"
        return f"{reverse('admin:catalog_source_try', args=[key])}?{subject}"

    def test_asks_with_what_was_typed_and_saves_nothing(self, pages, tmp_path):
        (tmp_path / "orders.csv").write_text("id\n1\n", encoding="utf-8")

        response = pages.post(self.url(), {"setting_folder": str(tmp_path)})

        assert response.json()["state"] == "answered"
        assert "can be read" in response.json()["answer"]["message"]
        assert not Source.objects.exists()

    def test_says_why_it_does_not_work(self, pages):
        response = pages.post(self.url(), {"setting_folder": "/nowhere/at/all"})

        found = response.json()
        assert found["state"] == "failed"
        assert "/nowhere/at/all" in found["error"]["message"]

    def test_complains_about_settings_only(self, pages):
        response = pages.post(self.url(), {"slug": "not a slug", "setting_folder": "x"})

        assert response.status_code == 422
        assert list(response.json()["errors"]) == ["setting_folder"]

    def test_says_which_tables_a_change_would_lose(self, pages, source, tmp_path):
        TableFactory(name="orders", source=source, source_table="orders.csv")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()

        response = pages.post(
            self.url("impact", source), {"setting_folder": str(elsewhere), "concurrency": "2"}
        )

        assert [each["table"] for each in response.json()["answer"]["lost"]] == ["orders"]

    def test_says_why_it_is_refused(self, pages, tmp_path, monkeypatch):
        monkeypatch.setattr(questions, "_places", threading.Semaphore(0))

        response = pages.post(self.url(), {"setting_folder": str(tmp_path)})

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (429, "too_many_questions")
        assert "already" in error["said"]

    def test_is_asked_for_by_post_and_by_a_name_that_is_known(self, pages):
        assert pages.get(self.url()).status_code == 405
        assert pages.post(self.url("nothing")).status_code == 404

    def test_is_for_administrators(self, client, analyst):
        client.force_login(analyst)

        assert client.post(self.url(), {"setting_folder": "/"}).status_code == 302

    @pytest.mark.parametrize("source", ["00000000-0000-0000-0000-000000000000", "x"])
    def test_of_a_source_that_is_gone_is_not_found(self, pages, source):
        url = reverse("admin:catalog_source_try", args=["test"])

        assert pages.post(f"{url}?source={source}").status_code == 404


class TestRemoval:
    def delete(self, pages, source, **fields):
        url = reverse("admin:catalog_source_delete", args=[source.pk])
        return pages.post(url, {"post": "yes", **fields}, follow=True)

    def test_lists_what_would_go(self, pages, source):
        publish(TableFactory(name="orders", source=source))

        page = pages.get(reverse("admin:catalog_source_delete", args=[source.pk]))

        assert "orders" in page.content.decode()
        assert "typed_name" in page.content.decode()

    @pytest.mark.parametrize("typed", ["", "crm2"])
    def test_keeps_tables_unless_the_name_is_typed(self, pages, source, typed):
        TableFactory(source=source)

        response = self.delete(pages, source, typed_name=typed)

        assert Table.objects.exists()
        assert "its name must be typed" in response.content.decode()

    def test_takes_the_tables_along_when_the_name_is_typed(self, pages, source):
        publish(TableFactory(source=source))
        other = TableFactory()

        self.delete(pages, source, typed_name=" crm ")

        assert list(Table.objects.all()) == [other]
        assert list(Source.objects.all()) == [other.source]
        assert AuditEvent.objects.filter(action="unregister_table").count() == 1

    def test_of_a_source_without_tables_needs_no_name(self, pages, source):
        self.delete(pages, source)

        assert not Source.objects.exists()
        assert AuditEvent.objects.filter(action="source.delete").exists()

    def test_of_several_leaves_those_with_tables(self, pages, source):
        TableFactory(source=source)

        pages.post(
            reverse("admin:catalog_source_changelist"),
            {"action": "delete_selected", "_selected_action": [str(source.pk)], "post": "yes"},
        )

        assert Source.objects.exists()


def test_answers_to_scripts_hold_no_secrets(pages, tmp_path):
    response = pages.post(add_url(), filled(setting_folder="", secret_x="canary"), headers=JSON)

    assert "canary" not in json.dumps(response.json())
