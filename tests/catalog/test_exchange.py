"""Export and import: what is written can be read, and an import does what its plan says."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from access.models import ADMIN, AuditEvent, Grant, Group, User
from access.services import grants, groups
from catalog.models import Folder, Source, SourceSecret, Table
from catalog.services import exchange, folders, registry
from catalog.services.exchange import Action, Format
from tests import handed
from tests.factories import SourceFactory


@pytest.fixture
def company(admin):
    """A source with two tables, a folder, a group with a member, and a grant."""
    ben = User.objects.create_user("ben@example.com", "correct horse")
    source = SourceFactory(slug="shop", config={"folder": "/data/shop"})
    folders.add_folder(slug="sales", by=None, description="First line.\nSecond: =1+1 'quoted'")
    registry.register_table(
        source=source, name="orders", by=None, folder="sales", source_table="orders.csv",
        primary_key=["id"], sync_schedule="daily 07:00", owner=ben,
        options={"null_strings": ["", "NA"]}, description="=cmd|' /C calc'!A0",
    )  # fmt: skip
    registry.register_table(source=source, name="people", by=None, source_table="people.csv")
    group = groups.create_group(name="Analysts", by=None, description="They ask.")
    groups.add_member(group=group, user=ben, by=None)
    grants.grant(group=group, resource_type="table", resource_id="orders", by=None)
    return source


def edited(text: str, **changes) -> bytes:
    """Return a YAML document with values replaced: ``{"tables.orders.description": …}``."""
    content = yaml.safe_load(text)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = content
        for part in way:
            place = place[part]
        place[last] = value
    return yaml.safe_dump(content).encode()


def everything() -> str:
    return exchange.write(as_format=Format.YAML)


def plan_of(content: bytes, *, exactly=False, **options):
    return exchange.make(exchange.read(content, **options), exactly=exactly, by=None)


def bring(content: bytes, *, exactly=False, expected=None, by=None, **options):
    document = exchange.read(content, **options)
    return exchange.apply(document, exactly=exactly, expected=expected, by=by)


def refusal(text: str, **options) -> str:
    """Return why a document is refused, as a whole or for its first problem."""
    try:
        return str(exchange.read(text.encode(), **options).problems[0])
    except exchange.DocumentInvalidError as error:
        return f"{error.message} {error.hint}"


def clear() -> None:
    """Leave an empty installation with its people."""
    Grant.objects.all().delete()
    Table.objects.all().delete()
    Folder.objects.all().delete()
    Source.objects.all().delete()
    Group.objects.filter(is_system=False).delete()


class TestYaml:
    def test_comes_back_as_it_was_in_an_empty_installation(self, company):
        before = everything()
        clear()

        plan = bring(before.encode())

        assert everything() == before
        assert plan.counted()[Action.ADD] == 6

    def test_changes_nothing_where_it_came_from(self, company):
        plan = plan_of(everything().encode())

        assert (plan.changes, plan.problems) == ((), ())
        assert plan.unchanged == 8

    def test_reads_what_a_person_writes(self, company):
        bring(b"agnes: 1\ntables:\n  people:\n    description: One row a person.\n")

        people = Table.objects.get(name="people")
        assert (people.description, people.source_table) == ("One row a person.", "people.csv")

    def test_empties_a_field_that_nothing_is_written_for(self, company):
        bring(b"agnes: 1\ntables:\n  orders: {primary_key: , options: , description: }\n")

        orders = Table.objects.get(name="orders")
        assert (orders.primary_key, orders.options, orders.description) == ([], {}, "")

    def test_describes_a_group_and_keeps_its_members(self, company):
        bring(b"agnes: 1\ngroups: {Analysts: {description: They answer.}}")

        group = Group.objects.get(name="Analysts")
        assert group.description == "They answer."
        assert group.memberships.get().user.email == "ben@example.com"

    def test_knows_a_table_in_whatever_case_it_is_written(self, company):
        plan = plan_of(b"agnes: 1\ntables:\n  ORDERS: {description: New}\n")

        assert [change.key for change in plan.changes] == [("orders",)]

    @pytest.mark.parametrize("written", ["2024_01", "007", "12:30", "1.10", "2024-01-01", "no"])
    def test_takes_a_text_as_it_is_written(self, company, written):
        bring(f"agnes: 1\ntables:\n  orders: {{source_table: {written}}}\n".encode())

        assert Table.objects.get(name="orders").source_table == written

    def test_grants_a_table_under_its_own_name_only(self, company):
        registry.register_table(source=company, name="Old orders", by=None)
        grant = "{group: Analysts, resource_type: table, resource_id: Old orders}"

        (problem,) = plan_of(f"agnes: 1\ngrants: [{grant}]\n".encode()).problems

        assert str(problem).endswith("'Old orders' is granted as old_orders.")

    def test_takes_the_name_of_a_group_as_it_is_written(self, company):
        group = groups.create_group(name="007", by=None)

        bring(b"agnes: 1\ngrants: [{group: 007, resource_type: table, resource_id: orders}]")

        assert group.grants.get().resource_id == "orders"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "should begin with"),
            ("[1, 2]", "should begin with"),
            ("agnes: 2", "should begin with `agnes: 1`"),
            ("agnes: 1\n\ttables: x", "line 2"),
            ("agnes: 1\ntables: !!python/object/apply:os.system [ls]", "tables should be"),
            ("agnes: 1\ntables: {x: {options: !!python/name:os.system }}", "python/name"),
            ("agnes: 1\nfolders: {a: &x {description: hi}, b: *x}", "alias"),
            ("agnes: 1\nx: &a [1]\ny: &b [*a, *a]", "alias"),
            ("[" * 5000, "YAML"),
            ("agnes: 1\ngrants: [{expires_at: 2030-13-01T00:00:00Z}]", "month must be"),
            ("agnes: 1\n? [a, b]\n: c", "Line 2 has a list or names"),
            ("agnes: 1\ntables:\n  ? {a: b}\n  : {}", "Line 3 has a list or names"),
        ],
    )
    def test_is_refused_with_a_reason(self, db, text, said):
        assert said in refusal(text)

    def test_is_refused_when_it_is_not_utf_8(self, db):
        with pytest.raises(exchange.DocumentInvalidError, match="Byte 10"):
            exchange.read("agnes: 1\n€".encode("cp1252"))

    def test_is_refused_when_it_is_huge(self, db):
        with pytest.raises(exchange.DocumentInvalidError, match="10 MB"):
            exchange.read(b"#" * 10_000_001)


class TestProblems:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("tabels: {}", "line 2: there is no kind 'tabels'; did you mean 'tables'?"),
            ("tables:\n  orders: {descripton: x}", "did you mean 'description'?"),
            ("tables:\n  orders: {server_only: maybe}", "server_only: expected true or false"),
            ("tables:\n  orders: {description: [x]}", "description: expected a text"),
            ("tables:\n  orders: {max_history_days: '7'}", "expected a whole number"),
            ("tables:\n  orders: {where_filters: x}", "expected a list"),
            ("tables:\n  orders: {primary_key: [1]}", "expected a list of texts"),
            ("tables:\n  orders: {options: [x]}", "expected names with values"),
            ("tables:\n  orders: 7", "expected fields with values"),
            ("tables:\n  orders: {source: other}", "A table keeps its source."),
            ("tables:\n  new: {description: x}", "a new one needs source"),
            ("tables:\n  new: {source: nowhere}", "There is no source named 'nowhere'."),
            ("tables:\n  orders: {folder: nowhere}", "There is no folder named 'nowhere'."),
            ("tables:\n  orders: {owner: x@example.com}", "no user with the e-mail"),
            ("tables:\n  orders: {sync_schedule: sometimes}", "is not a schedule"),
            ("tables:\n  a b: {source: shop}", "cannot be the name of a table"),
            ("tables:\n  orders:\n  orders:", "is here twice"),
            ("tables:\n  orders: {owner: '', owner: ''}", "owner is there twice"),
            ("tables:\n  orders: {where_filters: [{1: x, b: y}]}", "need quotes"),
            ('tables:\n  orders: {where_filters: ["a\\0b"]}', "NUL"),
            ('groups:\n  "a\\0b": {}', "NUL"),
            (
                "grants:\n- {group: Analysts, resource_type: table, resource_id: orders,\n"
                "   expires_at: '0001-01-01T00:00:00+05:00'}",
                "expected a time of this age",
            ),
            ("sources:\n  shop: {settings: {folder: relative}}", "whole path"),
            ("sources:\n  shop: {settings: {folder: 2020-01-01}}", "need quotes"),
            ("tables:\n  orders: {where_filters: [.nan]}", "need quotes"),
            ("sources:\n  shop: {type: external}", "A source keeps its type."),
            ("groups:\n  Everyone: {members: [ben@example.com]}", "without being added"),
            ("groups:\n  Admin: {members: []}", "only active administrator"),
            ("groups:\n  Analysts: {members: [x@example.com]}", "no user with the e-mail"),
            ("grants:\n- {group: Analysts, resource_type: table}", "resource_id is missing"),
            (
                "grants:\n- {group: Nobody, resource_type: table, resource_id: orders}",
                "There is no group named 'Nobody'.",
            ),
            (
                "grants:\n- {group: Analysts, resource_type: table, resource_id: orders,\n"
                "   tier: maybe}",
                "no tier",
            ),
            (
                "grants:\n- {group: Analysts, resource_type: table, resource_id: orders,\n"
                "   expires_at: soon}",
                "expected a time",
            ),
            (
                "grants:\n- {group: Analysts, resource_type: table, resource_id: orders,\n"
                "   expires_at: '2030-13-01T00:00:00Z'}",
                "expected a time",
            ),
        ],
    )
    def test_name_their_line_and_stop_everything(self, company, body, said):
        document = f"agnes: 1\n{body}\nfolders:\n  fine: {{}}\n".encode()

        plan = plan_of(document)
        with pytest.raises(exchange.ImportRefusedError):
            bring(document)

        assert said in str(plan.problems[0])
        assert "line" in str(plan.problems[0])
        assert not Folder.objects.filter(slug="fine").exists()

    def test_of_trying_leave_nothing_behind(self, company):
        events = AuditEvent.objects.count()

        plan_of(b"agnes: 1\nfolders: {a: {}, 'b c': {}}")

        assert not Folder.objects.filter(slug="a").exists()
        assert AuditEvent.objects.count() == events


class TestPlan:
    def test_says_field_by_field_what_changes(self, company):
        document = edited(everything(), tables__orders__description="New", folders__sales={})

        (change,) = plan_of(document).changes

        assert change.action is Action.CHANGE
        assert (change.before, change.after) == (
            {"description": "=cmd|' /C calc'!A0"}, {"description": "New"},
        )  # fmt: skip

    @pytest.mark.parametrize(
        "body",
        [
            "tables:\n  orders: {source: SHOP, folder: SALES, owner: BEN@example.com}",
            "groups:\n  Analysts: {members: [Kim@example.com, BEN@example.com]}",
            "grants:\n- {group: Analysts, resource_type: table, resource_id: orders, tier: ,\n"
            "   expires_at: '2030-01-01T00:00:00+02:00'}",
            "grants:\n- {group: Analysts, resource_type: table, resource_id: orders,\n"
            "   expires_at: 2030-01-01T00:00:00+02:00}",
        ],
    )
    def test_is_empty_for_what_was_imported(self, company, body):
        User.objects.create_user("kim@example.com", "correct horse")
        document = f"agnes: 1\n{body}\n".encode()

        bring(document)

        assert plan_of(document).changes == ()

    def test_removes_only_when_asked(self, company):
        document = b"agnes: 1\ntables: {orders: {}}\ngrants: []\n"

        assert plan_of(document).changes == ()
        bring(document, exactly=True)

        assert [table.name for table in Table.objects.all()] == ["orders"]
        assert not Grant.objects.exists()
        assert Group.objects.filter(name="Analysts").exists()

    def test_removes_nothing_of_a_kind_that_breaks_off(self, company):
        assert plan_of(b"agnes: 1\ntables:\n", exactly=True).changes == ()

    def test_of_emptying_everything_keeps_what_must_stay(self, company, admin):
        document = f"""agnes: 1
sources: {{}}
folders: {{}}
tables: {{}}
grants: []
groups: {{Admin: {{members: [{admin.email}]}}}}
"""
        bring(document.encode(), exactly=True)

        assert not Table.objects.exists()
        assert not Source.objects.exists()
        assert set(Group.objects.values_list("name", flat=True)) == {ADMIN, "Everyone"}

    def test_that_was_shown_is_the_one_applied(self, company):
        document = edited(everything(), tables__orders__description="New")
        shown = plan_of(document)
        registry.update_table(table=Table.objects.get(name="orders"), by=None, description="X")

        with pytest.raises(exchange.PlanOutdatedError):
            bring(document, expected=shown.fingerprint)

        assert Table.objects.get(name="orders").description == "X"
        bring(document, expected=plan_of(document).fingerprint)
        assert Table.objects.get(name="orders").description == "New"

    def test_is_recorded_with_each_change(self, company, admin):
        bring(edited(everything(), tables__orders__description="New"), by=admin)

        actions = AuditEvent.objects.filter(actor=admin).values_list("action", flat=True)
        assert set(actions) == {"update_table", "registry.import"}

    def test_keeps_members_from_elsewhere(self, company):
        group = Group.objects.get(name="Analysts")
        kim = User.objects.create_user("kim@example.com", "correct horse")
        groups.add_member(group=group, user=kim, by=None, source="google_sync")

        bring(edited(everything(), groups__Analysts__members=[]))

        assert list(group.memberships.values_list("user__email", flat=True)) == [kim.email]


class TestCsv:
    @pytest.mark.parametrize("kind", [kind.name for kind in exchange.KINDS])
    def test_changes_nothing_where_it_came_from(self, company, kind):
        text = exchange.write(as_format=Format.CSV, kind=kind)

        plan = plan_of(text.encode(), file_name=f"{kind}.csv", exactly=True)

        assert (plan.changes, plan.problems) == ((), ())
        assert plan.unchanged > 0

    @pytest.mark.hostile(18)
    def test_runs_nothing_in_a_spreadsheet(self, company):
        text = exchange.write(as_format=Format.CSV, kind="tables")

        assert ",'=cmd|" in text

    def test_can_come_from_a_spreadsheet(self, company):
        content = "\ufeffname,description\r\npeople,'quoted\r\n,\r\norders,\r\n".encode()

        bring(content, file_name="list.csv", kind="tables")

        said = dict(Table.objects.values_list("name", "description"))
        assert said == {"people": "'quoted", "orders": ""}

    def test_is_known_by_its_columns(self, company):
        text = exchange.write(as_format=Format.CSV, kind="grants")

        assert plan_of(text.encode(), file_name="some.csv").unchanged == 1

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name,descripton\n", "did you mean 'description'?"),
            ("description\nx\n", "no column name"),
            ("name,name\nx,x\n", "twice"),
            ('name,description\n"x', "is not CSV"),
            ("name,description\nx\n", "line 2: 1 cells where the first line has 2"),
            ("name,primary_key\norders,id\n", "line 2: primary_key: expected JSON"),
            ("name,is_paused\norders,maybe\n", "line 2: is_paused: expected true or false"),
            ("name,max_history_days\norders,x\n", "max_history_days: expected a whole number"),
            ("name,where_filters\norders,[NaN]\n", "line 2: where_filters: expected JSON"),
            ("name,where_filters\norders," + "[" * 100_000, "where_filters: expected JSON"),
            ("name,where_filters\norders," + "[" * 500 + "]" * 500, "nested too deeply"),
            ('name,where_filters\norders,"[""\\ud800""]"\n', "half of a character"),
            ("name,description\n,x\n", "cannot be empty"),
        ],
    )
    def test_is_refused_with_a_reason(self, company, text, said):
        assert said in refusal(text, kind="tables", file_name="x.csv")

    def test_needs_a_kind_to_be_written(self, db):
        with pytest.raises(exchange.DocumentInvalidError, match="one kind"):
            exchange.write(as_format=Format.CSV)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30).map(
    str.strip
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    description=texts, display=texts,
    keys=st.lists(texts.filter(bool), max_size=3, unique=True),
    days=st.none() | st.integers(0, 9999), paused=st.booleans(),
)  # fmt: skip
@pytest.mark.parametrize("as_format", list(Format))
def test_whatever_is_written_is_read(company, as_format, description, display, keys, days, paused):
    orders = Table.objects.get(name="orders")
    registry.update_table(
        table=orders, by=None, description=description, display_name=display, primary_key=keys,
        incremental_window_days=days, is_paused=paused,
    )  # fmt: skip
    written = exchange.write(as_format=as_format, kind="tables")
    before = exchange.write(as_format=Format.YAML, kind="tables")
    registry.update_table(
        table=orders, by=None, description="other", display_name="other", primary_key=["other"],
        incremental_window_days=1, is_paused=not paused,
    )  # fmt: skip

    bring(written.encode(), file_name=f"tables.{as_format}")

    assert exchange.write(as_format=Format.YAML, kind="tables") == before


class TestSecrets:
    def test_are_written_as_the_variables_that_hold_them(self, layout, admin, vault_type):
        source = SourceFactory(slug="vault", source_type=vault_type, config={})
        handed.set_secret(source=source, key="password", value=SecretStr("canary"))
        handed.name_variable(source=source, key="pin", variable="AGNES_SOURCE_PIN")

        written = everything()
        source.delete()
        bring(written.encode())

        assert "canary" not in written
        assert dict(SourceSecret.objects.values_list("key", "env_name")) == {
            "pin": "AGNES_SOURCE_PIN"
        }

    def test_that_were_typed_stay(self, layout, admin, vault_type):
        source = SourceFactory(slug="vault", source_type=vault_type, config={})
        handed.set_secret(source=source, key="password", value=SecretStr("canary"))
        handed.name_variable(source=source, key="pin", variable="AGNES_SOURCE_PIN")

        bring(edited(everything(), sources__vault__secret_variables={}))

        assert [secret.key for secret in source.secrets.all()] == ["password"]

    def test_may_be_named_anew_for_another_place(self, layout, admin, vault_type):
        source = SourceFactory(slug="vault", source_type=vault_type, config={})
        handed.set_secret(source=source, key="password", value=SecretStr("canary"))
        moved = {"sources__vault__settings": {"place": "elsewhere"}}
        named = {"sources__vault__secret_variables": {"password": "AGNES_SOURCE_V"}}

        (refused,) = plan_of(edited(everything(), **moved)).problems
        bring(edited(everything(), **moved, **named))

        assert "stored for another place" in refused.message
        source.refresh_from_db()
        assert source.config == {"place": "elsewhere"}
        assert source.secrets.get().env_name == "AGNES_SOURCE_V"
