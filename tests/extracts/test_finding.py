import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.urls import reverse

from access.models import Grant, Group
from access.services import groups
from catalog.models import Table
from extracts.models import Question, QuestionKind, Run, RunKind
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def csv_source(tmp_path):
    """A source of two good files and a bad one."""
    folder = tmp_path / "csv"
    folder.mkdir()
    for name in ("orders", "invoices"):
        (folder / f"{name}.csv").write_text("id,name\n1,a\n2,b\n", encoding="utf-8")
    (folder / "bad.csv").touch()
    return SourceFactory(slug="crm", config={"folder": str(folder)})


def call(api, path: str, body=None):
    return api.post(f"/api/admin/sources/{path}", body or {}, content_type="application/json")


class TestPage:
    def test_opens_without_asking_the_source(self, client, admin):
        client.force_login(admin)
        source = SourceFactory(config={"folder": "/nowhere/at/all"})

        page = client.get(reverse("admin:catalog_source_do", args=[source.pk, "find"]))

        assert page.status_code == 200
        assert not Question.objects.exists()

    def test_counts_the_people_of_each_group(self, client, admin, analyst):
        client.force_login(admin)
        finance = Group.objects.create(name="Finance")
        groups.add_member(group=finance, user=analyst, by=None)
        source = SourceFactory()

        page = client.get(reverse("admin:catalog_source_do", args=[source.pk, "find"]))

        text = page.content.decode()
        assert "Finance (1 person)" in text
        assert "Everyone (2 people)" in text
        assert 'value="Admin"' not in text


class TestDiscover:
    def test_lists_what_a_source_offers(self, admin_api, csv_source):
        TableFactory(name="invoices", source=csv_source, source_table="invoices.csv")

        found = call(admin_api, "crm/discover").json()["answer"]["tables"]

        assert {each["upstream_id"]: each["registered_as"] for each in found} == {
            "bad.csv": None, "invoices.csv": "invoices", "orders.csv": None,
        }  # fmt: skip
        assert "empty" in found[0]["problem"]
        assert found[2]["columns"][0] == {"name": "id", "type": "BIGINT"}

    def test_proposes_a_free_name_where_one_is_taken(self, admin_api, csv_source):
        TableFactory(name="Orders")

        found = call(admin_api, "crm/discover").json()["answer"]["tables"]

        assert (found[2]["name"], found[2]["taken_name"]) == ("crm_orders", "orders")

    def test_says_why_a_source_cannot_be_asked(self, admin_api):
        SourceFactory(slug="crm", config={"folder": "/nowhere/at/all"})

        response = call(admin_api, "crm/discover")

        assert response.status_code == 422
        assert "/nowhere/at/all" in response.json()["message"]
        assert response.json()["hint"]

    def test_is_answered_at_once_when_nobody_waits(self, admin_api, csv_source):
        question = call(admin_api, "crm/discover?wait=0").json()

        later = admin_api.get(f"/api/admin/questions/{question['id']}").json()
        assert later["state"] == "answered"
        assert len(later["answer"]["tables"]) == 3


class TestPreview:
    def test_shows_the_first_rows_of_a_table_that_is_not_registered(self, admin_api, csv_source):
        found = call(admin_api, "crm/preview", {"source_table": "orders.csv"}).json()["answer"]

        assert found["columns"][1] == {"name": "name", "type": "VARCHAR"}
        assert found["rows"] == [["1", "a"], ["2", "b"]]

    def test_shows_a_sign_for_what_is_no_text(self, admin_api, csv_source):
        odd = Path(csv_source.config["folder"], "odd.jsonl")
        odd.write_text('{"name": "a\\u0000b"}\n', encoding="utf-8")

        found = call(admin_api, "crm/preview", {"source_table": "odd.jsonl"}).json()["answer"]

        assert found["rows"] == [["a\ufffdb"]]

    def test_says_what_is_wrong_with_a_table(self, admin_api, csv_source):
        response = call(admin_api, "crm/preview", {"source_table": "bad.csv"})

        assert "empty" in response.json()["message"]


class TestRegister:
    def test_registers_what_was_chosen_and_extracts_it(self, admin_api, csv_source):
        found = call(admin_api, "crm/register", {"tables": ["orders.csv"]}).json()["answer"]

        table = Table.objects.get()
        assert (table.name, table.source_table) == ("orders", "orders.csv")
        assert found["registered"][0]["run"] == str(Run.objects.open().get(table=table).pk)

    def test_takes_names_and_what_holds_for_all(self, admin_api, csv_source):
        Group.objects.create(name="Finance")
        body = {
            "tables": {"orders.csv": "sales", "invoices": "bills"}, "folder": "money",
            "sync_schedule": "every 6h", "group": "finance", "extract": False,
        }  # fmt: skip

        call(admin_api, "crm/register", body)

        tables = Table.objects.order_by("name")
        assert [(each.name, each.folder.slug, each.sync_schedule) for each in tables] == [
            ("bills", "money", "every 6h"), ("sales", "money", "every 6h"),
        ]  # fmt: skip
        assert set(Grant.objects.values_list("resource_id", flat=True)) == {"bills", "sales"}
        assert not Run.objects.exists()

    def test_chooses_from_an_earlier_answer(self, admin_api, csv_source):
        question = call(admin_api, "crm/discover").json()["id"]
        Path(csv_source.config["folder"], "orders.csv").unlink()

        call(admin_api, "crm/register", {"tables": ["orders.csv"], "question": question})

        assert Table.objects.get().name == "orders"

    def test_takes_no_question_that_is_not_answered(self, admin_api, admin, csv_source):
        asked = Question.objects.create(
            kind=QuestionKind.DISCOVER, source=csv_source, asked_by=admin
        )

        response = call(admin_api, "crm/register", {"question": str(asked.pk)})

        assert (response.status_code, response.json()["code"]) == (409, "question_unanswered")

    def test_registers_no_table_that_it_cannot_grant(self, admin_api, csv_source):
        readers = Group.objects.create(name="Finance")
        # Left by somebody who removed a table without the service.
        Grant.objects.create(group=readers, resource_type="table", resource_id="orders")

        found = call(admin_api, "crm/register", {"tables": ["orders.csv"], "group": "Finance"})

        assert [each["code"] for each in found.json()["answer"]["refused"]] == ["grant_exists"]
        assert not Table.objects.exists()

    def test_takes_no_answer_of_another_source(self, admin_api, csv_source, tmp_path):
        question = call(admin_api, "crm/discover").json()["id"]
        SourceFactory(slug="other", config={"folder": str(tmp_path)})

        response = call(admin_api, "other/register", {"question": question})

        assert response.json()["code"] == "question_not_found"

    def test_says_of_each_table_why_it_was_refused(self, admin_api, csv_source):
        TableFactory(name="taken")

        found = call(
            admin_api, "crm/register", {"tables": {"orders.csv": "taken", "invoices.csv": ""}}
        ).json()["answer"]

        assert [each["name"] for each in found["registered"]] == ["invoices"]
        assert [each["code"] for each in found["refused"]] == ["table_exists"]

    def test_refuses_what_is_not_offered(self, admin_api, csv_source):
        response = call(admin_api, "crm/register", {"tables": ["nothing.csv"]})

        assert (response.status_code, response.json()["code"]) == (422, "table_not_offered")

    def test_refuses_a_group_that_is_not_there(self, admin_api, csv_source):
        response = call(admin_api, "crm/register", {"tables": ["orders.csv"], "group": "x"})

        assert response.json()["code"] == "readers_not_found"
        assert not Table.objects.exists()

    def test_registers_everything_that_is_free_without_a_choice(self, admin_api, csv_source):
        TableFactory(name="invoices", source=csv_source, source_table="invoices.csv")

        call(admin_api, "crm/register", {"extract": False})

        assert set(Table.objects.values_list("name", flat=True)) == {"invoices", "orders", "bad"}


class TestRemote:
    @pytest.fixture
    def database(self, layout, tmp_path):
        """A source that is a database with one table."""
        with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
            connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY)")
            connection.commit()
        return SourceFactory(
            slug="crm", source_type="sqlite", config={"path": str(tmp_path / "crm.db")}
        )

    def test_registers_tables_whose_rows_stay(self, admin_api, database):
        found = call(admin_api, "crm/register", {"query_mode": "remote"}).json()["answer"]

        assert Table.objects.get().query_mode == "remote"
        assert found["registered"][0]["run"] == ""
        assert Run.objects.get().kind == RunKind.REBUILD

    def test_refuses_where_rows_cannot_stay(self, admin_api, csv_source):
        body = {"tables": ["orders.csv"], "query_mode": "remote"}

        found = call(admin_api, "crm/register", body).json()["answer"]

        assert found["refused"][0]["code"] == "query_mode_unsupported"

    def test_is_a_choice_only_where_rows_can_stay(self, client, admin, database, tmp_path):
        client.force_login(admin)
        files = SourceFactory(config={"folder": str(tmp_path)})

        pages = [
            client.get(reverse("admin:catalog_source_do", args=[each.pk, "find"]))
            for each in (database, files)
        ]

        assert ["Where their rows are" in page.content.decode() for page in pages] == [True, False]


class TestQuestions:
    def test_are_seen_by_who_asked_them(self, admin_api, csv_source):
        question = Question.objects.create(kind=QuestionKind.TEST, source=csv_source)

        response = admin_api.get(f"/api/admin/questions/{question.pk}")

        assert response.json()["code"] == "question_not_found"

    def test_are_cancelled(self, admin_api, admin, csv_source):
        question = Question.objects.create(
            kind=QuestionKind.TEST, source=csv_source, asked_by=admin
        )

        response = admin_api.delete(f"/api/admin/questions/{question.pk}")

        assert response.json()["state"] == "cancelled"

    def test_test_a_source_before_it_is_saved(self, admin_api, csv_source):
        body = {"source_type": "files", "config": csv_source.config}

        found = call(admin_api, "test", body).json()

        assert "can be read" in found["answer"]["message"]

    def test_test_a_source_with_other_settings(self, admin_api, csv_source):
        response = call(admin_api, "crm/test", {"config": {"folder": "/nowhere/at/all"}})

        assert "/nowhere/at/all" in response.json()["message"]
        assert call(admin_api, "crm/test").json()["state"] == "answered"
