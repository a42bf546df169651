"""The page of a table: its parts, its columns, its versions."""

import pytest
from django.test import Client
from django.urls import reverse

from access.models import AuditEvent
from catalog.connectors import ColumnSpec
from catalog.models import Folder, Incident, IncidentKind
from catalog.models.table import DescriptionSource
from catalog.services import registry, versions
from catalog.services.differences import compare_schemas
from extracts.models import Run, RunState
from tests.admin_pages import do, part_of, text_of
from tests.factories import GroupFactory, SourceFactory, TableFactory, publish, stored_part


def column(name: str, kind: str = "BIGINT", **more) -> dict:
    return {"name": name, "type": kind, "nullable": True, **more}


def versions_of(table, *schemas: list[ColumnSpec]) -> None:
    for number, columns in enumerate(schemas, start=1):
        publish(table, stored_part(number, rows=10 * number), columns=columns)


class TestSchemas:
    def test_are_compared_by_name_and_type(self):
        change = compare_schemas(
            [column("id"), column("old"), column("price", "INTEGER")],
            [column("price", "DECIMAL(12,2)"), column("id"), column("new", "VARCHAR")],
        )

        assert change.added == ["new VARCHAR"]
        assert change.removed == ["old"]
        assert change.changed == ["price: INTEGER → DECIMAL(12,2)"]

    def test_are_the_same_in_another_order(self):
        assert not compare_schemas([column("a"), column("b")], [column("b"), column("a")])


class TestParts:
    def test_are_found_by_themselves(self, pages):
        table = TableFactory(name="orders")
        publish(table)

        for name in ("facts", "incidents", "columns", "readers", "versions", "runs"):
            assert pages.get(part_of(table, name)).status_code == 200
        assert pages.get(part_of(table, "delete_model")).status_code == 404

    def test_are_for_administrators_only(self, client, analyst):
        client.force_login(analyst)

        assert client.get(part_of(TableFactory(), "facts")).status_code == 302

    def test_come_back_after_something_was_done_in_them(self, pages):
        table, group = TableFactory(), GroupFactory(name="Sales")

        response = pages.post(
            do(table, "grant"), {"group": str(group.pk), "tier": "required"},
            headers={"HX-Request": "true", "HX-Target": "part-readers"},
        )  # fmt: skip

        assert response.status_code == 200
        assert response.headers["HX-Trigger"] == "ag-changed"
        assert "Sales reads" in text_of(response)
        assert "<html" not in text_of(response)

    def test_say_what_was_refused(self, pages):
        table = TableFactory()
        publish(table)

        response = pages.post(
            do(table, "roll_back"), {"number": "77"},
            headers={"HX-Request": "true", "HX-Target": "part-versions"},
        )  # fmt: skip

        assert "has no version 77" in text_of(response)
        assert "ag-bad" in text_of(response)

    def test_give_way_to_the_whole_page_once_the_table_is_gone(self, pages, monkeypatch):
        table = TableFactory()
        monkeypatch.setattr(
            versions, "release", lambda *, table, by: registry.unregister_table(table=table, by=by)
        )

        response = pages.post(do(table, "release"), headers={"HX-Target": "part-versions"})

        assert (response.status_code, response.headers["HX-Refresh"]) == (200, "true")

    def test_need_the_token_of_the_form(self, admin):
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin)

        answer = strict.post(do(TableFactory(), "extract"), headers={"HX-Target": "part-facts"})

        assert answer.status_code == 403


class TestLastRun:
    def test_that_opened_an_incident_is_explained_once(self, pages):
        table = TableFactory()
        told = {"error_code": "t", "error_message": "Page 3 is damaged.", "error_hint": "Mend it."}
        Run.objects.create(table=table, source=table.source, state=RunState.FAILED, **told)
        page = reverse("admin:catalog_table_change", args=[table.pk])
        assert "Page 3 is damaged." in pages.get(page).content.decode()
        Incident.objects.create(
            table=table, kind=IncidentKind.HELD, code="t", message="Page 3 is damaged."
        )

        assert pages.get(page).content.decode().count("<strong>Page 3 is damaged.</strong>") == 1


class TestVersions:
    def test_tell_what_each_changed(self, pages):
        table = TableFactory()
        first = [ColumnSpec(name="id", type="BIGINT")]
        publish(table, stored_part(1, rows=10), columns=first)
        draft = [*first, ColumnSpec(name="note", type="VARCHAR")]
        publish(table, stored_part(2, rows=12), columns=draft)
        table.versions.filter(number=2).update(schema_hash="1" * 64)

        page = text_of(pages.get(part_of(table, "versions")))

        assert "Added: note VARCHAR" in page
        assert "+2" in page
        assert "Removed: note" in page, "the question before going back to version 1"
        assert "It has 10 rows, -2 compared with now." in page

    def test_are_paged(self, pages):
        table = TableFactory()
        versions_of(table, *[[ColumnSpec(name="id", type="BIGINT")]] * 25)

        last = text_of(pages.get(part_of(table, "versions"), {"page": "3"}))

        assert "21 to 25 of 25 versions" in last

    def test_are_drawn_with_their_rows_in_words(self, pages):
        table = TableFactory()
        versions_of(table, *[[ColumnSpec(name="id", type="BIGINT")]] * 3)

        page = text_of(pages.get(part_of(table, "facts")))

        assert 'aria-label="Rows of 3 versions: 10 → 30"' in page


class TestColumns:
    @pytest.fixture
    def table(self, db):
        found = TableFactory(name="orders")
        told = ColumnSpec(name="id", type="BIGINT", description="Number at the source")
        publish(found, columns=[told, ColumnSpec(name="note", type="VARCHAR")])
        return found

    def describe(self, pages, table, name, text):
        chosen = table.columns.get(name=name)
        answer = pages.post(do(table, "describe"), {"column": str(chosen.pk), "description": text})
        chosen.refresh_from_db()
        return chosen, text_of(answer)

    def test_show_what_the_source_says(self, pages, table):
        page = text_of(pages.get(part_of(table, "columns")))

        assert "Number at the source" in page
        assert "As its source says." in page

    def test_are_described_over_what_the_source_says(self, pages, table):
        chosen, answer = self.describe(pages, table, "id", "Our number")

        assert (chosen.description, chosen.description_source) == (
            "Our number", DescriptionSource.ADMIN,
        )  # fmt: skip
        assert "Its source says: Number at the source" in answer

    def test_go_back_to_the_source_when_emptied(self, pages, table):
        self.describe(pages, table, "id", "Our number")

        chosen, _ = self.describe(pages, table, "id", "")

        assert chosen.description == "Number at the source"
        assert chosen.description_source == DescriptionSource.SOURCE

    def test_leave_no_record_of_what_did_not_change(self, pages, table):
        self.describe(pages, table, "note", "")

        assert not AuditEvent.objects.filter(action="column.describe").exists()

    def test_of_another_table_are_not_described(self, pages, table):
        other = TableFactory()
        publish(other)

        answer = pages.post(do(table, "describe"), {"column": str(other.columns.get().pk)})

        assert answer.status_code == 404


class TestManyOfAll:
    def test_cost_no_more_queries_than_few(self, pages, django_assert_max_num_queries):
        table = TableFactory(source=SourceFactory())
        columns = [ColumnSpec(name=f"c{number}", type="BIGINT") for number in range(500)]
        versions_of(table, *[columns] * 40)

        with django_assert_max_num_queries(25):
            page = text_of(pages.get(reverse("admin:catalog_table_change", args=[table.pk])))

        assert "1 to 100 of 500 columns" in page


class TestGrantable:
    @pytest.mark.parametrize("model", ["source", "folder"])
    def test_pages_count_their_readers_too(self, pages, model):
        source = SourceFactory()
        subject = source if model == "source" else _folder()
        group = GroupFactory(name="Sales")

        pages.post(do(subject, "grant"), {"group": str(group.pk), "tier": "required"})
        page = text_of(pages.get(reverse(f"admin:catalog_{model}_change", args=[subject.pk])))

        assert "Who reads it: 0 people" in page
        assert group.grants.get().resource_type == model


def _folder():
    return Folder.objects.create(slug="finance")
