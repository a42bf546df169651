import json

import pytest

from catalog.models import Source, Table
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "orders.csv").write_text("id\n1\n", encoding="utf-8")
    return str(tmp_path)


def send(api, method, path, body=None):
    return api.generic(
        method, f"/api/admin/sources{path}", json.dumps(body or {}),
        content_type="application/json",
    )  # fmt: skip


class TestSources:
    def test_are_added_and_listed(self, admin_api, folder):
        body = {"name": "shop", "source_type": "csv", "config": {"folder": folder}}

        made = send(admin_api, "POST", "", body)

        assert made.status_code == 201
        listed = admin_api.get("/api/admin/sources").json()
        assert listed["count"] == 1
        assert listed["sources"][0] == made.json()
        assert made.json()["source_type"] == "files"

    def test_are_listed_in_few_queries_a_page_at_a_time(
        self, admin_api, django_assert_max_num_queries
    ):
        for source in SourceFactory.create_batch(20):
            TableFactory(source=source)

        with django_assert_max_num_queries(8):
            found = admin_api.get("/api/admin/sources?limit=5&offset=5").json()

        assert (len(found["sources"]), found["count"]) == (5, 20)

    @pytest.mark.parametrize("path", ["admin/sources", "runs"])
    def test_are_counted_no_further_than_a_database_can(self, admin_api, path):
        response = admin_api.get(f"/api/{path}?offset={10**20}")

        assert (response.status_code, response.json()["code"]) == (422, "request_invalid")

    def test_are_refused_with_the_problem_named(self, admin_api):
        body = {"name": "shop", "source_type": "files", "config": {"folder": "relative"}}

        response = send(admin_api, "POST", "", body)

        assert response.json()["code"] == "settings_invalid"
        assert not Source.objects.exists()

    def test_are_refused_under_names_that_cannot_be_tables(self, admin_api, folder):
        body = {"name": "my shop", "source_type": "files", "config": {"folder": folder}}

        found = send(admin_api, "POST", "", body).json()

        assert (found["code"], found["details"]["fields"]) == ("source_invalid", ["slug"])
        assert "my_shop" in found["message"]

    def test_are_listed_when_a_connector_is_no_longer_installed(self, admin_api):
        SourceFactory(slug="fax", source_type="fax")

        (found,) = admin_api.get("/api/admin/sources").json()["sources"]

        assert (found["name"], found["secrets"]) == ("fax", [])

    @pytest.mark.parametrize("path", ["/nowhere", "/nowhere/secrets"])
    def test_are_not_found_under_other_names(self, admin_api, path):
        response = admin_api.get(f"/api/admin/sources{path}")

        assert (response.status_code, response.json()["code"]) == (404, "source_not_found")

    def test_say_which_types_there_are(self, admin_api):
        found = {
            each["source_type"]: each for each in admin_api.get("/api/admin/source-types").json()
        }

        assert "folder" in found["files"]["config_schema"]["properties"]
        assert "external" not in found


class TestChange:
    @pytest.fixture
    def source(self, folder):
        made = SourceFactory(slug="shop", config={"folder": folder})
        TableFactory(name="orders", source=made, source_table="orders.csv")
        return made

    def test_of_settings_lists_the_tables_it_would_lose(self, admin_api, source, tmp_path):
        empty = tmp_path / "empty"
        empty.mkdir()

        response = send(admin_api, "PATCH", "/shop", {"config": {"folder": str(empty)}})

        assert response.status_code == 409
        found = response.json()
        assert found["code"] == "source_change_breaks_tables"
        assert [each["table"] for each in found["details"]["tables"]] == ["orders"]
        source.refresh_from_db()
        assert source.config["folder"] != str(empty)

    def test_of_settings_is_made_when_forced(self, admin_api, source):
        body = {"config": {"folder": "/elsewhere"}, "force": True}

        response = send(admin_api, "PATCH", "/shop", body)

        assert response.json() == {"name": "shop", "updated": ["config"]}

    def test_of_settings_needs_an_answer(self, admin_api, source):
        response = send(admin_api, "PATCH", "/shop", {"config": {"folder": "/nowhere/at/all"}})

        assert response.json()["code"] == "source_change_unchecked"
        assert "force" in response.json()["hint"]

    def test_of_settings_is_made_when_nothing_is_lost(self, admin_api, source, tmp_path):
        moved = tmp_path / "moved"
        moved.mkdir()
        (moved / "orders.csv").write_text("id\n1\n", encoding="utf-8")

        response = send(admin_api, "PATCH", "/shop", {"config": {"folder": str(moved)}})

        assert response.status_code == 200

    def test_that_is_only_asked_about_is_not_made(self, admin_api, source, tmp_path):
        TableFactory(name="all_files", source=source, source_table="*.csv")
        moved = tmp_path / "moved"
        moved.mkdir()
        (moved / "people.csv").write_text("id\n1\n", encoding="utf-8")

        response = send(admin_api, "POST", "/shop/impact", {"config": {"folder": str(moved)}})

        found = response.json()["answer"]
        assert [each["table"] for each in found["lost"]] == ["orders"]
        assert found["kept"] == 1
        source.refresh_from_db()
        assert source.config["folder"] != str(moved)

    def test_of_anything_else_asks_nobody(self, admin_api, source):
        response = send(admin_api, "PATCH", "/shop", {"display_name": "Shop"})

        assert response.json()["updated"] == ["display_name"]


class TestRemoval:
    def test_keeps_a_source_that_tables_come_from(self, admin_api):
        TableFactory(source=SourceFactory(slug="shop"))

        response = send(admin_api, "DELETE", "/shop")

        assert (response.status_code, response.json()["code"]) == (409, "source_in_use")

    def test_takes_tables_along_when_asked_to(self, admin_api):
        TableFactory(name="orders", source=SourceFactory(slug="shop"))

        response = send(admin_api, "DELETE", "/shop?with_tables=true")

        assert response.json() == {"name": "shop", "tables": ["orders"]}
        assert not Table.objects.exists()
