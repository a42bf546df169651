"""Names that a source gives: of columns on all their ways to people, of files side by side."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from html import escape

import pytest
from click.testing import CliRunner, Result
from django.urls import reverse

from access.services import tokens
from agnes_site.core.sql import quote_identifier
from agnes_site.web import search
from analyst_cli.main import root
from catalog.models import Table
from catalog.services import exchange, registry
from catalog.services.exchange import Format
from extracts.models import RunState
from extracts.services import offering
from tests.factories import SourceFactory

# What a header says, in the order of the columns.
HEADER = [
    "id",
    'x") OR 1=1 --',
    "",
    "a\x07b",
    "n" * 10_000,
    "\u202egnp.exe",
    "Same",
    "same",
    "same",
    "é",
    "e\u0301",
    "=cmd|' /C calc'!A0",
    "{{7*7}}${7*7}%(x)s",
    "<script>alert(1)</script>",
    "\x1b[31mred",
    "two\nlines",
    "a.b[0].c->d",
    "'; DROP TABLE orders; --",
    "filename",
    "file_row_number",
    "rowid",
    "日本語 😀",
    "-- comment",
    "a,b;c\td",
    "back\\slash",
]


@pytest.fixture
def orders(source_folder, run_of) -> Table:
    """A table whose columns have these names, and in each its number as a value."""
    with (source_folder / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([HEADER, [f"value {number}" for number in range(len(HEADER))]])
    run = run_of(SourceFactory(config={"folder": str(source_folder)}), "orders.csv", name="orders")
    assert run.state == RunState.SUCCEEDED, run.error_message
    return Table.objects.get(pk=run.table_id)


@pytest.fixture
def names(orders) -> list[str]:
    """How the columns are called in the end."""
    return list(orders.columns.values_list("name", flat=True))


@pytest.mark.hostile(15)
class TestColumn:
    def test_has_a_name_of_its_own_that_can_be_shown(self, names):
        assert len({name.lower() for name in names}) == len(HEADER)
        assert all(0 < len(name) <= 255 and name.strip() == name for name in names)
        assert "\u202e" not in "".join(names)
        controls = {sign for name in names for sign in name if unicodedata.category(sign) == "Cc"}
        assert not controls
        for kept in ('x") OR 1=1 --', "é", "e\u0301", "=cmd|' /C calc'!A0", "日本語 😀"):
            assert kept in names

    def test_can_be_read_by_its_name_on_a_page(self, client, admin, orders, names):
        client.force_login(admin)
        for part in ("columns", "preview", "facts", "versions"):
            url = reverse("admin:catalog_table_part", args=[orders.pk, part])
            page = client.get(url).content.decode()

            assert "<script>alert" not in page
            if part in ("columns", "preview"):
                assert [name for name in names if escape(name[:40]) not in page] == []

    def test_is_found_by_the_search(self, client, admin, orders, names):
        client.force_login(admin)
        for name in (name for name in names if len(name) > 1):
            hits = {hits.kind: hits.found for hits in search.find(name[:200])}
            page = client.get(reverse("search"), {"q": name})

            assert name in [hit.title for hit in hits["Columns"]]
            assert page.status_code == 200
            assert "<script>alert" not in page.content.decode()

    def test_is_told_by_the_api(self, admin_api, orders, names):
        listed = admin_api.get("/api/catalog/tables").json()["tables"][0]["columns"]
        described = admin_api.get("/api/v2/schema/orders").json()["columns"]

        assert [column["name"] for column in listed] == names
        assert [column["name"] for column in described] == names

    @pytest.mark.parametrize("as_format", list(Format))
    def test_comes_back_from_an_export(self, orders, names, as_format):
        registry.update_table(table=orders, by=None, primary_key=names)
        kind = "tables" if as_format is Format.CSV else ""

        text = exchange.write(as_format=as_format, kind=kind)

        document = exchange.read(text.encode(), kind=kind)
        plan = exchange.make(document, exactly=False, by=None)
        assert (plan.changes, plan.problems) == ((), ())
        Table.objects.update(primary_key=[])
        exchange.apply(document, exactly=False, expected=None, by=None)
        assert Table.objects.get(name="orders").primary_key == names


@pytest.fixture
def agnes(live_server, admin, tmp_path, monkeypatch) -> Callable[..., Result]:
    """Run a command against this server."""
    folder = tmp_path / "laptop"
    (folder / ".claude").mkdir(parents=True)
    (folder / ".claude" / "init-complete").write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AGNES_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("AGNES_SERVER", live_server.url)
    monkeypatch.setenv("AGNES_TOKEN", tokens.create(user=admin, name="laptop", by=None).secret)

    def run(*words: str) -> Result:
        result = CliRunner().invoke(root, words, prog_name="agnes")
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.mark.hostile(15)
@pytest.mark.django_db(transaction=True)
def test_columns_keep_their_names_on_the_laptop(agnes, orders, names):
    agnes("pull")
    values = [f"value {number}" for number in range(len(HEADER))]

    as_json = agnes("query", "SELECT * FROM orders", "--json").stdout
    as_csv = agnes("query", "SELECT * FROM orders", "--format", "csv").stdout
    as_table = agnes("query", "SELECT * FROM orders").stdout

    assert json.loads(as_json) == [dict(zip(names, values, strict=True))]
    assert list(csv.reader(io.StringIO(as_csv))) == [names, values]
    assert all(name in as_table for name in names if len(name) < 40)
    assert all(sign.isprintable() or sign == "\n" for sign in as_table)
    for name, value in zip(names, values, strict=True):
        sql = f"SELECT {quote_identifier(name)} AS value FROM orders"
        assert json.loads(agnes("query", sql, "--json").stdout) == [{"value": value}]


@pytest.mark.hostile(16)
def test_twins_as_files_side_by_side_become_two_tables(source_folder, run_of, served):
    for form in ("NFC", "NFD"):
        path = source_folder / f"{unicodedata.normalize(form, 'Zákazníci')}.csv"
        path.write_text(f"form\n{form}\n")
    source = SourceFactory(config={"folder": str(source_folder)})

    found = offering.ask_offers(source)
    rows = [
        served(run_of(source, offer.upstream_id, name=offer.proposed_name))[0]["form"]
        for offer in found
    ]

    assert sorted(rows) == ["NFC", "NFD"]
    assert len({offer.proposed_name.lower() for offer in found}) == 2
