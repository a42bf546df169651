"""Names of tables: slugs, aliases, and who has a name first."""

from __future__ import annotations

import unicodedata

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from access.models import AuditEvent, Group
from catalog.models import Folder, Source, Table, TableName
from catalog.services import registry
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def register(db):
    """Register a table of one source: ``register("orders")``."""
    source = SourceFactory(slug="shop")

    def add(name: str, by=None, **fields) -> Table:
        return registry.register_table(source=source, name=name, by=by, **fields)

    return add


def _names(table: Table) -> dict[str, bool]:
    return dict(table.names.values_list("name", "is_alias"))


class TestRace:
    def test_for_a_name_is_lost_like_one_that_was_taken_before(self, register):
        other = TableFactory(name="other")
        taken: list[TableName] = []

        def take_first(execute, sql, params, many, context):
            if sql.startswith('INSERT INTO "catalog_tablename"') and not taken:
                taken.append(TableName(table=other, name="orders"))
                taken[0].save()
            return execute(sql, params, many, context)

        with connection.execute_wrapper(take_first), pytest.raises(registry.TableExistsError):
            register("orders")

        assert not Table.objects.filter(name="orders").exists()


class TestRemote:
    def test_needs_its_name_at_the_source(self, db):
        source = SourceFactory(source_type="sqlite", config={"path": "/data/plant.db"})

        with pytest.raises(registry.TableInvalidError) as caught:
            registry.register_table(source=source, name="sensors", query_mode="remote", by=None)

        assert caught.value.details["fields"] == ["source_table"]
        assert not Table.objects.exists()


class TestReadableBy:
    def test_is_nothing_for_somebody_who_was_deactivated(self, register, analyst, admin, grant):
        grant(analyst, register("orders"))
        for user in (analyst, admin):
            assert Table.objects.readable_by(user).exists()
            user.is_active = False
            assert not Table.objects.readable_by(user).exists()


class TestTogether:
    def test_tables_are_registered_as_each_alone_would_be(self, register, admin):
        register("taken")
        named = ["orders", "Orders of 2024", "Orders-of-2024", "Täken!"]

        made = registry.register_tables(
            source=Source.objects.get(), tables=[{"name": name} for name in named], by=admin
        )

        assert [table.name for table in made] == [
            "orders", "orders_of_2024", "orders_of_2024_2", "taken_2",
        ]  # fmt: skip
        assert _names(made[1]) == {"orders_of_2024": False, "Orders of 2024": True}
        told = AuditEvent.objects.filter(action="register_table", actor=admin)
        assert {event.resource for event in told} == {f"table/{table.name}" for table in made}

    @pytest.mark.parametrize(
        ("refused", "error"),
        [
            ({"name": "orders"}, registry.TableExistsError),
            ({"name": "Items"}, registry.TableExistsError),
            ({"name": " "}, registry.TableInvalidError),
            ({"name": "people", "source_query": "SELECT 1"}, registry.TableInvalidError),
        ],
    )
    def test_one_that_is_refused_keeps_all_out(self, register, refused, error):
        register("orders")

        with pytest.raises(error):
            registry.register_tables(
                source=Source.objects.get(), tables=[{"name": "items"}, refused], by=None
            )

        assert [table.name for table in Table.objects.all()] == ["orders"]

    def test_cost_the_database_no_more_when_they_are_many(self, register):
        source = register("orders").source

        def cost(names: list[str]) -> int:
            with CaptureQueriesContext(connection) as statements:
                given = [{"name": name} for name in names]
                registry.register_tables(source=source, tables=given, by=None)
            return len(statements)

        assert cost([f"many_{number}" for number in range(20)]) == cost(["one", "two"])


@pytest.mark.hostile(16)
class TestNames:
    @pytest.mark.parametrize("name", ["orders", "Orders", "_x", "A1", "a" * 64])
    def test_that_can_be_slugs_stay_as_they_are(self, register, name):
        assert _names(register(name)) == {name: False}

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Orders 2024", "orders_2024"),
            ("2024 orders", "t_2024_orders"),
            ("in.c-main.orders", "in_c_main_orders"),
            ("Zákazníci", "zakaznici"),
            ("a/b\\..\\c", "a_b_c"),
            ("con", "t_con"),
            ("😀", "grinning"),
            ('"; DROP TABLE x', "drop_table_x"),
        ],
    )
    def test_that_cannot_become_slugs_and_stay_as_aliases(self, register, name, slug):
        table = register(name)

        assert table.name == slug
        assert _names(table) == {table.name: False, name: True}
        assert table.display_name == name
        assert registry.find_table(name.upper()) == table

    def test_that_become_the_same_slug_are_numbered(self, register):
        made = [register(name).name for name in ("Orders 2024", "orders-2024", "orders.2024")]

        assert made == ["orders_2024", "orders_2024_2", "orders_2024_3"]
        assert registry.find_table("orders-2024").name == "orders_2024_2"

    @pytest.mark.parametrize("name", ["Orders 2024", "Zákazníci", "Straße"])
    def test_that_are_aliases_are_taken_too(self, register, name):
        register(name)

        with pytest.raises(registry.TableExistsError):
            register(name.upper())

    def test_of_64_characters_are_numbered_within_64(self, register):
        register("b" * 64)

        table = register("b" * 64 + "!")

        assert (len(table.name), table.name[-2:]) == (64, "_2")

    @pytest.mark.parametrize("written", ["Zákazníci", "가격 표", "Å", "ệ"])
    def test_with_accents_in_one_piece_or_two_are_one(self, register, written):
        one, two = (unicodedata.normalize(form, written) for form in ("NFC", "NFD"))
        table = register(two)

        with pytest.raises(registry.TableExistsError):
            register(one)

        assert registry.find_table(one) == registry.find_table(two.upper()) == table
        assert _names(table) == {table.name: False, one: True}
        with pytest.raises(IntegrityError), transaction.atomic():
            TableName.objects.create(table=register("other"), name=one.upper())

    @pytest.mark.parametrize("written", ["a\0b", "a\ud800b"])
    def test_that_no_database_takes_are_kept_as_text(self, register, written):
        table = register(written)

        assert registry.find_table(written) == table
        with pytest.raises(registry.TableNotFoundError):
            registry.find_table(f"other {written}")

    def test_longer_than_an_alias_can_be_still_make_a_table(self, register):
        table = register("long name " * 40)

        assert _names(table) == {table.name: False}
        assert len(table.display_name) <= 200

    def test_of_tables_that_are_gone_are_free(self, register):
        registry.unregister_table(table=register("Orders 2024"), by=None)

        assert register("Orders 2024").name == "orders_2024"

    def test_are_unique_in_the_database_itself(self, register):
        orders, customers = register("orders"), register("customers")

        with pytest.raises(IntegrityError), transaction.atomic():
            TableName.objects.create(table=customers, name="ORDERS")
        assert registry.find_table("ORDERS") == orders


class TestFindTable:
    def test_costs_the_same_at_any_size(self, register):
        register("orders")
        found = Table.objects.filter(names__folded="orders").order_by()

        assert "SCAN" not in found.explain() or connection.vendor != "sqlite"

    def test_looks_only_among_what_it_is_given(self, register, analyst):
        register("orders")

        with pytest.raises(registry.TableNotFoundError):
            registry.find_table("orders", among=Table.objects.readable_by(analyst))

    @pytest.mark.parametrize("name", ["", "nosuch", "%", "order_", "orders\n", "x" * 10_000])
    def test_takes_a_name_as_it_is(self, register, name):
        register("orders")

        with pytest.raises(registry.TableNotFoundError):
            registry.find_table(name)


class TestUpdateTable:
    def test_that_changes_nothing_moves_nothing(self, register):
        table = register("orders", folder="Sales", description="One row an order.")
        stamps = set(Group.objects.values_list("stamp", flat=True))
        shown = Source.objects.get(slug="shop").stamp

        changed = registry.update_table(
            table=table, by=None, folder="sales", description="One row an order."
        )

        assert changed == []
        assert set(Group.objects.values_list("stamp", flat=True)) == stamps
        assert Source.objects.get(slug="shop").stamp == shown


class TestFolders:
    def test_are_made_once_for_all_spellings(self, register):
        first, second = register("orders", folder="Sales 1"), register("lines", folder="sales_1")

        assert first.folder == second.folder == Folder.objects.get()
        assert first.folder.display_name == "Sales 1"

    @pytest.mark.hostile(16)
    @pytest.mark.parametrize("written", ["Sales 1", "Prodej šatů", "가격 표"])
    def test_are_found_again_by_their_names(self, register, written):
        one, two = (unicodedata.normalize(form, written) for form in ("NFC", "NFD"))

        first, second = register("orders", folder=one), register("lines", folder=two.upper())

        assert first.folder == second.folder
        assert register("other", folder=f"{written}!").folder != first.folder

    def test_that_are_made_are_in_the_audit(self, register, admin):
        register("orders", folder="Sales", by=admin)

        made = AuditEvent.objects.get(action="folder.create")
        assert (made.actor, made.resource) == (admin, "folder/Sales")

    def test_that_are_gone_leave_their_tables(self, register):
        table = register("orders", folder="Sales")

        Folder.objects.all().delete()

        table.refresh_from_db()
        assert table.folder is None


class TestSoleSource:
    def test_is_found_by_an_alias_of_its_type(self, register):
        assert registry.sole_source("CSV").slug == "shop"

    def test_is_not_guessed_among_several(self, register):
        SourceFactory(slug="archive")

        with pytest.raises(registry.TableInvalidError, match="archive, shop"):
            registry.sole_source("files")


class TestUnregisterTable:
    def test_leaves_other_tables_alone(self, register):
        orders, customers = register("orders"), register("customers")

        registry.unregister_table(table=orders, by=None)

        assert list(Table.objects.all()) == [customers]
        assert TableFactory(name="again", source=customers.source).pk
