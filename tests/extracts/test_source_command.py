import io
import sqlite3
from contextlib import closing

import pytest
from django.core.management import CommandError, call_command

from access.models import Grant, Group
from catalog.models import Source, Table
from catalog.services import registry, secrets
from extracts.models import Run
from extracts.services import extraction, runs
from tests.factories import SourceFactory, TableFactory


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "orders.csv").write_text("id\n1\n2\n", encoding="utf-8")
    (tmp_path / "bills.csv").write_text("id\n1\n", encoding="utf-8")
    return tmp_path


def source(*words: str) -> str:
    """Run the command and return what it said."""
    out = io.StringIO()
    call_command("source", *words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
class TestSource:
    def test_adds_what_can_be_reached(self, folder):
        said = source("add", "shop", "--type", "files", "--set", f"folder={folder}", "--test")

        assert Source.objects.get().config == {"folder": str(folder)}
        assert "manage.py source discover shop" in said

    def test_says_which_names_there_can_be(self, folder):
        with pytest.raises(CommandError, match="such as my_shop"):
            source("add", "my shop", "--type", "files", "--set", f"folder={folder}")

    def test_adds_nothing_that_cannot_be_reached(self, folder):
        with pytest.raises(CommandError, match="nothing"):
            source("add", "shop", "--type", "files", "--set", f"folder={folder}/nothing", "--test")

        assert not Source.objects.exists()

    def test_says_which_secret_a_new_source_needs(self, layout, vault_type):
        said = source("add", "vault", "--type", vault_type)

        assert "it needs a secret: Password" in said
        assert "secret password (needed)" in source("types")

    def test_lists_types_with_their_settings(self):
        assert "--set folder=…" in source("types")

    def test_lists_what_is_offered(self, folder):
        shop = SourceFactory(slug="shop", config={"folder": str(folder)})
        TableFactory(name="orders", source=shop, source_table="orders.csv")

        said = source("discover", "shop")

        assert "bills\tbills.csv" in said
        assert "registered as orders" in said

    def test_says_what_is_wrong_with_what_is_offered(self, folder):
        SourceFactory(slug="shop", config={"folder": str(folder)})
        (folder / "empty.csv").write_bytes(b"")

        said = source("discover", "shop")

        assert "empty.csv\t0\u00a0bytes\tempty.csv is empty." in said

    def test_registers_tables_under_the_names_given(self, folder):
        SourceFactory(slug="shop", config={"folder": str(folder)})
        Group.objects.create(name="Finance")

        source("register", "shop", "orders.csv=sales", "bills", "--group", "finance")

        assert set(Table.objects.values_list("name", flat=True)) == {"sales", "bills"}
        assert Grant.objects.count() == 2

    def test_registers_the_others_when_one_is_refused(self, folder):
        SourceFactory(slug="shop", config={"folder": str(folder)})
        TableFactory(name="sales")
        out = io.StringIO()

        with pytest.raises(CommandError, match="1 table not registered"):
            call_command(
                "source", "register", "shop", "orders.csv=sales", "bills", stdout=out, stderr=out
            )

        assert "sales: " in out.getvalue()
        assert "Registered 1 table." in out.getvalue()
        assert Table.objects.filter(source__slug="shop").get().name == "bills"

    def test_tries_a_connection(self, folder):
        SourceFactory(slug="shop", config={"folder": str(folder)})

        assert "The connection works" in source("test", "shop")

    def test_keeps_a_text_that_reads_as_a_number(self, layout, vault_type):
        source("add", "vault", "--type", vault_type, "--set", "place=007", "--set", "mood=1")

        assert Source.objects.get().config == {"place": "007", "mood": "1"}

    def test_stores_no_empty_secret(self, layout, vault_type, monkeypatch):
        monkeypatch.delenv("NOT_SET", raising=False)

        with pytest.raises(CommandError, match="NOT_SET"):
            source("add", "vault", "--type", vault_type, "--secret-env", "password=NOT_SET")

        assert not Source.objects.exists()

    def test_wants_settings_as_pairs(self):
        with pytest.raises(CommandError, match="KEY=VALUE"):
            source("add", "shop", "--type", "files", "--set", "folder")

    def test_registers_tables_whose_rows_stay(self, folder):
        with closing(sqlite3.connect(folder / "crm.db")) as database:
            database.execute("CREATE TABLE people (id INTEGER)")
        SourceFactory(slug="crm", source_type="sqlite", config={"path": str(folder / "crm.db")})
        words = ["register", "crm", "people", "--query-mode", "remote"]

        with pytest.raises(CommandError, match="--extract"):
            source(*words, "--extract")
        source(*words)

        assert Table.objects.get().query_mode == "remote"

    @pytest.mark.parametrize("words", [[], ["orders", "--all"]])
    def test_registers_named_tables_or_all(self, words):
        with pytest.raises(CommandError, match="--all"):
            source("register", "shop", *words)

    def test_asks_before_a_change_loses_tables(self, folder, tmp_path):
        shop = SourceFactory(slug="shop", config={"folder": str(folder)})
        TableFactory(name="orders", source=shop, source_table="orders.csv")
        (tmp_path / "empty").mkdir()
        change = ["change", "shop", "--set", f"folder={tmp_path / 'empty'}"]

        with pytest.raises(CommandError, match="orders"):
            source(*change)
        source(*change, "--force")

        shop.refresh_from_db()
        assert shop.config["folder"].endswith("empty")

    def test_removes_a_source_with_its_tables_when_asked_to(self):
        TableFactory(source=SourceFactory(slug="shop"))

        with pytest.raises(CommandError, match="still has 1 table"):
            source("remove", "shop")
        source("remove", "shop", "--with-tables")

        assert not Source.objects.exists()

    def test_names_a_source_that_is_not_there(self):
        with pytest.raises(CommandError, match="'shop'"):
            source("test", "shop")


@pytest.mark.django_db
class TestExtract:
    def test_waits_for_the_rows(self, folder, layout, monkeypatch):
        shop = SourceFactory(slug="shop", config={"folder": str(folder)})
        TableFactory(name="orders", source=shop, source_table="orders.csv")
        _work_at_once(monkeypatch)

        assert "orders: 2 rows" in source("extract", "shop")

    def test_brings_all_in_full_when_asked_to_also_what_waits_already(
        self, folder, layout, monkeypatch
    ):
        shop = SourceFactory(slug="shop", config={"folder": str(folder)})
        for name in ("orders", "bills"):
            TableFactory(name=name, source=shop, source_table=f"{name}.csv")
        runs.request_run(table=Table.objects.get(name="orders"), by=None)
        _work_at_once(monkeypatch)

        said = source("extract", "shop", "--full")

        assert "Waiting for 2 runs." in said
        made = Run.objects.filter(table__isnull=False).values_list("state", "is_full")
        assert list(made) == [("succeeded", True)] * 2

    def test_does_not_take_a_run_for_a_full_one(self, layout):
        orders = TableFactory(name="orders", source=SourceFactory(slug="shop"))
        run, _ = runs.request_run(table=orders, by=None)
        runs.claim(run.pk, worker="test")

        with pytest.raises(CommandError, match="not in full"):
            source("extract", "shop", "--full")

    def test_knows_no_table_that_is_only_looked_up(self):
        TableFactory(name="orders", source=SourceFactory(slug="shop"), query_mode="remote")

        with pytest.raises(CommandError, match="no table named 'orders'"):
            source("extract", "shop", "orders")

        assert not Run.objects.exists()

    def test_says_to_an_operator_where_the_names_of_tables_are(self):
        SourceFactory(slug="shop")

        with pytest.raises(CommandError, match=r"(?s)named 'order'.*manage\.py source discover"):
            source("extract", "shop", "order")

    def test_ends_when_a_table_is_unregistered_meanwhile(self, layout, admin, monkeypatch):
        orders = TableFactory(name="orders", source=SourceFactory(slug="shop"))

        def unregister(seconds: float) -> None:
            registry.unregister_table(table=orders, by=admin)

        monkeypatch.setattr("extracts.management.following.time.sleep", unregister)

        with pytest.raises(CommandError, match="1 run did not succeed"):
            source("extract", "shop")

    def test_may_be_left_while_the_runs_go_on(self, layout, monkeypatch):
        TableFactory(name="orders", source=SourceFactory(slug="shop"))

        def interrupt(seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("extracts.management.following.time.sleep", interrupt)

        with pytest.raises(CommandError, match="the runs go on"):
            source("extract", "shop")

        assert Run.objects.get().is_open

    def test_fails_when_a_run_fails(self, folder, layout, monkeypatch):
        shop = SourceFactory(slug="shop", config={"folder": str(folder)})
        TableFactory(name="lost", source=shop, source_table="lost.csv")
        _work_at_once(monkeypatch)

        with pytest.raises(CommandError, match="1 run did not succeed"):
            source("extract", "shop", "lost")


@pytest.mark.django_db
class TestSecretsOfSources:
    def test_come_from_a_variable_of_the_shell(self, layout, vault_type, monkeypatch):
        monkeypatch.setenv("SHELL_SECRET", "canary")

        said = source("add", "v", "--type", vault_type, "--secret-env", "password=SHELL_SECRET")

        kept = secrets.secrets_of(Source.objects.get())
        assert kept["password"].get_secret_value() == "canary"
        assert "canary" not in said

    def test_come_from_a_pipe(self, layout, vault_type, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))

        source("add", "v", "--type", vault_type, "--secret-stdin", "password")

        kept = secrets.secrets_of(Source.objects.get())
        assert kept["password"].get_secret_value() == "from a pipe"


def _work_at_once(monkeypatch) -> None:
    """Let the wait between two looks at the runs be the time in which they are done."""

    def work(seconds: float) -> None:
        for run in Run.objects.open():
            extraction.execute(runs.claim(run.pk, worker="test"))

    monkeypatch.setattr("extracts.management.following.time.sleep", work)
