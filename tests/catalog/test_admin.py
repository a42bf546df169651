import pytest
from django.urls import reverse

from access.models import EVERYONE, AuditEvent, Group
from access.services import grants
from agnes_site.core.errors import ConflictError
from catalog.connectors import ColumnSpec
from catalog.models import Folder, Incident, IncidentKind, Source, Table
from catalog.models.table import DescriptionSource
from catalog.services import incidents, versions
from tests.admin_pages import do, list_of, page_of, text_of
from tests.factories import (
    GroupFactory,
    SourceFactory,
    TableFactory,
    UserFactory,
    publish,
    stored_part,
)


class HeldError(ConflictError):
    code = "held_in_a_test"
    hint = "Mend the file."


def held(about, message="Page 3 is damaged.") -> Incident:
    return incidents.open_incident(about=about, kind=IncidentKind.HELD, error=HeldError(message))


def form_of(table: Table, **changed) -> dict[str, str]:
    form = {
        "display_name": table.display_name, "description": table.description,
        "source_table": table.source_table, "bucket": table.bucket,
        "query_mode": table.query_mode, "source_query": table.source_query,
        "primary_key": "", "sync_schedule": table.sync_schedule,
        "drift_policy": table.drift_policy, "sync_strategy": table.sync_strategy,
        "setting_has_header": "on",
    }  # fmt: skip
    return {**form, **changed}


class TestSourcePages:
    def add(self, pages, **fields):
        form = {"slug": "crm", "display_name": "", "schedule": "", "concurrency": "2", **fields}
        return pages.post(f"{reverse('admin:catalog_source_add')}?source_type=files", form)

    def test_ask_for_the_type_first(self, pages):
        response = pages.get(reverse("admin:catalog_source_add"))

        assert "?source_type=files" in text_of(response)
        assert "?source_type=external" not in text_of(response)

    def test_have_a_plain_field_for_each_setting(self, pages):
        response = pages.get(f"{reverse('admin:catalog_source_add')}?source_type=files")

        assert 'name="setting_folder"' in text_of(response)

    def test_add_a_source_through_the_service(self, pages, tmp_path):
        response = self.add(
            pages, setting_folder=str(tmp_path), schedule="every 6h", concurrency="3"
        )

        source = Source.objects.get()
        assert response.url == f"{list_of(Source)}{source.pk}/do/find/", "the next step"
        assert source.config["folder"] == str(tmp_path)
        assert (source.schedule, source.concurrency) == ("every 6h", 3)
        assert AuditEvent.objects.filter(action="source.create").exists()

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"setting_folder": ""}, "__all__"),
            ({"setting_folder": "inbox"}, "setting_folder"),
            ({"setting_folder": "/data", "schedule": "now and then"}, "schedule"),
            ({"setting_folder": "/data", "slug": "9 lives"}, "slug"),
        ],
    )
    def test_show_what_is_wrong_at_its_field(self, pages, fields, field):
        response = self.add(pages, **fields)

        assert list(response.context["adminform"].form.errors) == [field]
        assert not Source.objects.exists()

    def test_refuse_a_name_that_is_taken(self, pages):
        SourceFactory(slug="CRM")

        response = self.add(pages, setting_folder="/data")

        assert "There is a source" in text_of(response)
        assert Source.objects.count() == 1

    def test_change_settings_and_record_it(self, pages, tmp_path):
        source = SourceFactory()

        pages.post(
            page_of(source),
            {"display_name": "CRM", "schedule": "", "concurrency": "2",
             "setting_folder": str(tmp_path)},
        )  # fmt: skip

        source.refresh_from_db()
        assert source.config["folder"] == str(tmp_path)
        event = AuditEvent.objects.get(action="source.change")
        assert event.before["config"] == {"folder": "/nowhere"}

    def test_say_that_a_connector_is_missing(self, pages):
        source = SourceFactory(source_type="gone")

        looked_at = pages.get(page_of(source), follow=True)
        saved = pages.post(page_of(source), {"display_name": "Gone"}, follow=True)

        assert "There is no connector" in text_of(looked_at)
        assert "There is no connector" in text_of(saved)

    def test_pause_and_resume(self, pages):
        source = SourceFactory()

        pages.post(do(source, "pause"))
        paused = Source.objects.get().is_paused
        pages.post(do(source, "resume"))

        assert paused
        assert not Source.objects.get().is_paused

    def test_say_on_an_empty_list_what_to_do(self, pages):
        response = pages.get(list_of(Source))

        assert "Add a source" in text_of(response)
        assert reverse("admin:catalog_source_add") in text_of(response)

    def test_list_a_hundred_sources_in_few_queries(self, pages, django_assert_max_num_queries):
        for source in SourceFactory.create_batch(100):
            publish(TableFactory(source=source))
            held(source)

        with django_assert_max_num_queries(15):
            response = pages.get(list_of(Source))

        assert text_of(response).count("1 incident") == 100

    def test_show_a_source_of_a_hundred_tables_in_few_queries(
        self, pages, django_assert_max_num_queries
    ):
        source = SourceFactory()
        for table in TableFactory.create_batch(100, source=source):
            publish(table)

        with django_assert_max_num_queries(20):
            response = pages.get(page_of(source))

        assert "All 100 tables" in text_of(response)


class TestTableList:
    def test_shows_a_hundred_tables_in_few_queries(self, pages, django_assert_max_num_queries):
        for table in TableFactory.create_batch(100):
            publish(table, stored_part(rows=1_234_567, size=323_000_000))
            held(table)

        with django_assert_max_num_queries(15):
            response = pages.get(list_of(Table))

        assert text_of(response).count("1,234,567") == 100
        assert text_of(response).count("323\u00a0MB") == 100
        assert text_of(response).count("Page 3 is damaged.") == 100

    @pytest.mark.parametrize(
        ("state", "shown"),
        [("served", "orders"), ("empty", "invoices"), ("incident", "refunds"), ("pinned", "bills")],
    )
    def test_is_limited_to_a_state(self, pages, state, shown):
        publish(TableFactory(name="orders"))
        TableFactory(name="invoices")
        TableFactory(name="events", query_mode="remote")
        held(TableFactory(name="refunds"))
        Table.objects.filter(pk=TableFactory(name="bills").pk).update(is_pinned=True)

        response = pages.get(list_of(Table), {"state": state})

        names = [table.name for table in response.context["cl"].result_list]
        assert shown in names
        assert {"orders", "invoices", "refunds", "bills"} - {*names}
        assert "events" not in names

    def test_is_searched_by_alias(self, pages):
        table = TableFactory(name="orders")
        table.names.create(name="Sales Orders", is_alias=True)
        TableFactory(name="invoices")

        response = pages.get(list_of(Table), {"q": "sales ord"})

        assert [found.name for found in response.context["cl"].result_list] == ["orders"]

    def test_says_when_nothing_matches(self, pages):
        TableFactory()

        response = pages.get(list_of(Table), {"q": "nothing like it"})

        assert "Nothing matches" in text_of(response)


class TestTablePages:
    def test_register_a_table_through_the_service(self, pages, admin):
        source = SourceFactory()

        response = pages.post(
            f"{reverse('admin:catalog_table_add')}?source={source.pk}",
            form_of(Table(name="x", source=source), new_name="Sales Orders", source_table="o.csv"),
        )

        assert response.status_code == 302
        table = Table.objects.get()
        assert (table.name, table.display_name) == ("sales_orders", "Sales Orders")
        assert table.registered_by == admin
        assert AuditEvent.objects.filter(action="register_table").exists()

    def test_refuse_a_name_that_is_taken(self, pages):
        taken = TableFactory(name="orders")

        response = pages.post(
            f"{reverse('admin:catalog_table_add')}?source={taken.source.pk}",
            form_of(taken, new_name="Orders"),
        )

        assert "There is a table" in text_of(response)
        assert Table.objects.count() == 1

    def test_change_what_is_said_of_a_table(self, pages):
        table = TableFactory(name="orders")

        pages.post(page_of(table), form_of(table, description="One row per order."))

        event = AuditEvent.objects.get(action="update_table")
        table.refresh_from_db()
        assert table.description == "One row per order."
        assert event.after == {"description": "One row per order."}

    def test_move_the_stamp_of_readers_when_the_folder_changes(self, pages):
        finance, sales = Folder.objects.create(slug="finance"), GroupFactory()
        table = TableFactory(name="orders")
        grants.grant(group=sales, resource_type="folder", resource_id="finance", by=None)
        stamp = Group.objects.get(pk=sales.pk).stamp

        pages.post(page_of(table), form_of(table, folder=str(finance.pk)))

        sales.refresh_from_db()
        assert sales.stamp != stamp

    def test_show_a_refused_query_mode_at_its_field(self, pages):
        table = TableFactory(source__source_type="external", source__config={})

        response = pages.post(page_of(table), form_of(table, query_mode="materialized"))

        assert list(response.context["adminform"].form.errors) == ["query_mode"]

    def test_take_the_columns_of_a_key_line_by_line(self, pages):
        table = TableFactory(primary_key=["id"])
        shown = text_of(pages.get(page_of(table)))

        pages.post(page_of(table), form_of(table, primary_key="id\r\n line \r\n"))

        table.refresh_from_db()
        assert ">id</textarea>" in shown
        assert table.primary_key == ["id", "line"]

    def test_ask_only_what_the_connector_can_do(self, pages):
        files = text_of(pages.get(page_of(TableFactory())))
        source = SourceFactory(source_type="sqlite", config={"path": "/data/shop.db"})
        sqlite = text_of(pages.get(page_of(TableFactory(source=source))))

        for name in ("query_mode", "source_query", "sync_strategy", "incremental_column"):
            assert f'name="{name}"' not in files
            assert f'name="{name}"' in sqlite
        assert 'value="incremental"' in sqlite
        assert 'value="partitioned"' not in sqlite

    def test_describe_a_column(self, pages):
        table = TableFactory(name="orders")
        publish(table)
        column = table.columns.get()
        row = {"column": str(column.pk), "description": "Number of the order"}

        pages.post(do(table, "describe"), row)

        column.refresh_from_db()
        assert column.description == "Number of the order"
        assert column.description_source == DescriptionSource.ADMIN

    def test_roll_back_and_release(self, pages):
        table = TableFactory(name="orders")
        publish(table, stored_part(1))
        publish(table, stored_part(2))

        pages.post(do(table, "roll_back"), {"number": "1"})
        rolled_back = Table.objects.get()
        pages.post(do(table, "release"))

        assert rolled_back.current_version.number == 3
        assert rolled_back.current_version.parts.get().sha256 == stored_part(1).sha256
        assert rolled_back.is_pinned
        assert not Table.objects.get().is_pinned

    @pytest.mark.parametrize("number", ["77", "", "one"])
    def test_say_that_there_is_no_such_version(self, pages, number):
        table = TableFactory()
        publish(table)

        response = pages.post(do(table, "roll_back"), {"number": number}, follow=True)

        assert response.status_code == 200
        assert "version" in str(next(iter(response.context["messages"])))
        assert not Table.objects.get().is_pinned

    def test_count_each_reader_once(self, pages, analyst, grant):
        table = TableFactory(name="orders")
        grant(analyst, table)
        both = GroupFactory()
        both.memberships.create(user=analyst)
        both.memberships.create(user=UserFactory())
        both.memberships.create(user=UserFactory(is_active=False))
        grants.grant(group=both, resource_type="source", resource_id=table.source.slug, by=None)

        response = pages.get(page_of(table))

        assert "Who reads it: 2 people" in text_of(response)

    def test_count_all_active_users_for_everyone(self, pages, admin, analyst):
        table = TableFactory()
        everyone = Group.objects.get(name=EVERYONE)
        grants.grant(group=everyone, resource_type="table", resource_id=table.name, by=None)

        response = pages.get(page_of(table))

        assert "Who reads it: 2 people" in text_of(response)

    def test_grant_and_revoke_on_the_page(self, pages):
        table, sales = TableFactory(name="orders"), GroupFactory()

        pages.post(do(table, "grant"), {"group": str(sales.pk), "tier": "available"})
        given = sales.grants.get()
        pages.post(do(table, "revoke_grant"), {"grant": str(given.pk)})

        assert given.resource_id == "orders"
        assert not sales.grants.exists()

    def test_unregister_a_table_with_versions(self, pages):
        table = TableFactory()
        publish(table)

        asked = pages.get(reverse("admin:catalog_table_delete", args=[table.pk]))
        pages.post(reverse("admin:catalog_table_delete", args=[table.pk]), {"post": "yes"})

        assert "1 version" in text_of(asked)
        assert not Table.objects.exists()

    def test_show_a_table_with_a_history_in_few_queries(self, pages, django_assert_max_num_queries):
        table = TableFactory()
        for number in range(30):
            publish(table, stored_part(number + 1))
        columns = [ColumnSpec(name=f"c{number}", type="BIGINT") for number in range(100)]
        table.refresh_from_db()
        draft = versions.Draft(parts=[stored_part(99)], columns=columns, schema_hash="1" * 64)
        versions.commit(table=table, draft=draft, fencing=table.fencing)

        with django_assert_max_num_queries(25):
            pages.get(page_of(table))


class TestEachPage:
    @pytest.mark.parametrize("model", [Source, Table, Folder, Incident])
    def test_is_for_administrators_only(self, client, analyst, model):
        client.force_login(analyst)

        assert client.get(list_of(model)).status_code in (302, 403)

    @pytest.mark.hostile(15)
    def test_escapes_foreign_names(self, pages):
        table = TableFactory(display_name="<script>alert(1)</script>")
        held(table, "<img src=x onerror=alert(2)>")

        response = pages.get(page_of(table))

        assert "<script>alert(1)" not in text_of(response)
        assert "<img src=x" not in text_of(response)
