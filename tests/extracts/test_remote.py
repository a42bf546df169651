"""Remote tables end to end, with a PostgreSQL server that comes and goes."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest
from django.urls import reverse
from django.utils import timezone
from pydantic import SecretStr

from agnes_site.core.sql import quote_literal
from catalog.models import Incident, Source
from catalog.services import registry, sources
from extracts.engine import extensions, orchestrator
from extracts.models import RemoteCatalog, Run, RunKind, RunState
from extracts.services import (
    changing,
    extraction,
    offering,
    previewing,
    regeneration,
    remote,
    runs,
)
from tests import handed
from tests.extracts.connectors import postgres_server
from tests.extracts.connectors.postgres_server import PASSWORD, Server

NAME = 'x") OR 1=1 --'


@pytest.fixture(scope="module")
def server():
    """A server of our own: these tests stop it."""
    if not (postgres_server.PROGRAMS / "initdb").exists():
        pytest.skip("PostgreSQL's initdb is not installed")
    with postgres_server.running() as server:
        quoted = NAME.replace('"', '""')
        server.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'o''k');"
            "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2), at timestamptz,"
            f' mood mood, "{quoted}" text);'
            "INSERT INTO orders VALUES (1, 2.50, '2026-01-01Z', 'sad', 'a'),"
            " (2, 3.25, NULL, 'o''k', NULL);"
            f'CREATE TABLE "{quoted}" (n int); INSERT INTO "{quoted}" VALUES (42);'
            "CREATE SCHEMA other; CREATE TABLE other.orders (other int);"
            "GRANT USAGE ON SCHEMA other TO reader;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA other TO reader"
        )
        yield server


@pytest.fixture
def source(db, layout, server: Server) -> Source:
    return _source("shop", server)


def _source(slug: str, server: Server) -> Source:
    config = {
        "host": "127.0.0.1", "port": server.port, "database": "shop", "user": "reader",
        "connect_timeout_seconds": 2,
    }  # fmt: skip
    made = sources.add_source(slug=slug, source_type="postgres", config=config, by=None)
    handed.set_secret(source=made, key="password", value=SecretStr(PASSWORD))
    return made


def _table(source: Source, name: str, source_table: str = "orders", **fields):
    return registry.register_table(
        source=source, name=name, source_table=source_table, query_mode="remote", by=None, **fields
    )


def _rebuild(source: Source | None) -> Run:
    run, _ = runs.request_run(source=source, kind=RunKind.REBUILD, by=None)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def _let_time_pass() -> None:
    RemoteCatalog.objects.update(next_look_at=timezone.now() - timedelta(seconds=1))


def _analytics(layout, *attached: Source) -> duckdb.DuckDBPyConnection:
    """Open the analytics file as a person would, with the secret of their own."""
    connection = duckdb.connect(
        str(orchestrator.current(layout.analytics)), read_only=True,
        config={"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"},
    )  # fmt: skip
    extensions.load(connection, "postgres_scanner")
    for source in attached:
        alias, _extension, url, _token = _remote_attach(layout, source)
        connection.execute(
            f"CREATE SECRET own_{source.slug} (TYPE postgres, PASSWORD {quote_literal(PASSWORD)})"
        )
        connection.execute(
            f"ATTACH {quote_literal(url)} AS {alias} "
            f"(TYPE postgres, READ_ONLY, SECRET own_{source.slug})"
        )
    return connection


def _extract(layout, source: Source) -> duckdb.DuckDBPyConnection:
    path = layout.extracts / source.slug / "extract.duckdb"
    return duckdb.connect(str(path), read_only=True)


def _remote_attach(layout, source: Source) -> tuple[str, ...]:
    with _extract(layout, source) as extract:
        return extract.sql("FROM _remote_attach").fetchone()


def _views(layout) -> set[str]:
    path = str(orchestrator.current(layout.analytics))
    with duckdb.connect(path, read_only=True) as connection:
        found = connection.execute(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    return {name for (name,) in found}


@pytest.fixture
def stopped(server: Server):
    """The server is away during the test."""
    server.control("stop", "-m", "immediate")
    yield server
    server.control("start")


class TestRebuild:
    def test_shows_views_that_anybody_with_a_secret_can_read(self, source, layout):
        _table(source, "orders")

        run = _rebuild(source)

        assert run.state == RunState.SUCCEEDED
        with _analytics(layout, source) as connection:
            rows = connection.sql("SELECT id, amount, mood FROM orders ORDER BY id").fetchall()
            same = connection.sql("SELECT count(*) FROM shop.orders").fetchone()
        assert [(row[0], str(row[1]), row[2]) for row in rows] == [
            (1, "2.50", "sad"), (2, "3.25", "o'k"),
        ]  # fmt: skip
        assert same == (2,)

    def test_writes_how_it_is_attached_and_what_is_remote(self, source, layout, server):
        _table(source, "orders")

        _rebuild(source)

        alias, extension, url, token = _remote_attach(layout, source)
        assert (alias, extension, token) == (
            "remote_shop", "postgres", "AGNES_SOURCE_SHOP_PASSWORD",
        )  # fmt: skip
        assert f"port='{server.port}'" in url
        with _extract(layout, source) as extract:
            listed = extract.sql("SELECT table_name, rows, query_mode FROM _meta").fetchall()
            view = extract.sql("SELECT sql FROM duckdb_views() WHERE view_name = 'orders'")
            assert listed == [("orders", 0, "remote")]
            assert "FROM remote_shop.public.orders" in view.fetchone()[0]

    def test_names_the_variable_that_holds_the_secret(self, source, layout, monkeypatch):
        monkeypatch.setenv("AGNES_SOURCE_OF_MINE", PASSWORD)
        handed.name_variable(source=source, key="password", variable="AGNES_SOURCE_OF_MINE")
        _table(source, "orders")

        _rebuild(source)

        assert _remote_attach(layout, source)[3] == "AGNES_SOURCE_OF_MINE"

    def test_leaves_no_secret_in_any_file(self, source, layout):
        _table(source, "orders")

        _rebuild(source)

        pieces = (PASSWORD.encode(), PASSWORD.encode()[:9], PASSWORD[-9:].encode())
        files = [path for path in layout.root.rglob("*") if path.is_file()]
        assert any(path.name == "extract.duckdb" for path in files)
        found = [path for path in files for piece in pieces if piece in path.read_bytes()]
        assert found == []

    def test_takes_hostile_names_as_they_are(self, source, layout):
        table = _table(source, "hostile", NAME)
        _table(source, "orders")

        _rebuild(source)

        with _analytics(layout, source) as connection:
            assert connection.sql("FROM hostile").fetchall() == [(42,)]
            assert NAME in connection.sql("FROM orders").columns
        assert [column.name for column in table.columns.all()] == ["n"]

    def test_finds_a_table_in_the_schema_that_was_given(self, source, layout):
        _table(source, "others", bucket="other")

        _rebuild(source)

        with _analytics(layout, source) as connection:
            assert connection.sql("FROM others").columns == ["other"]

    def test_gives_each_source_a_catalog_of_its_own(self, source, layout, server):
        twin = _source("shop_2", server)
        _table(source, "orders")
        _table(twin, "orders_2")

        _rebuild(None)

        with _analytics(layout, source, twin) as connection:
            both = "SELECT count(*) FROM orders JOIN orders_2 USING (id)"
            assert connection.sql(both).fetchone() == (2,)

    def test_leaves_a_table_out_that_is_not_there_and_names_it(self, source, layout):
        _table(source, "orders")
        _table(source, "gone", "no_such_table")

        run = _rebuild(source)

        assert "gone is left out: There is no table 'no_such_table'" in run.log
        assert _views(layout) == {"main.orders", "shop.orders"}

    def test_follows_the_columns_of_the_source(self, source, layout, server):
        table = _table(source, "changing", "changing")
        server.execute("CREATE TABLE changing (a int)")
        try:
            _rebuild(source)
            server.execute("ALTER TABLE changing ADD COLUMN b text")
            _let_time_pass()
            _rebuild(source)

            with _analytics(layout, source) as connection:
                assert connection.sql("FROM changing").columns == ["a", "b"]
            assert [column.name for column in table.columns.all()] == ["a", "b"]
        finally:
            server.execute("DROP TABLE changing")

    def test_drops_what_is_remote_no_longer(self, source, layout):
        table = _table(source, "orders")
        _rebuild(source)

        registry.unregister_table(table=table, by=None)
        _rebuild(source)

        assert _views(layout) == set()
        with _extract(layout, source) as extract:
            names = [name for (name,) in extract.sql("SHOW TABLES").fetchall()]
        assert names == ["_meta"]

    def test_looks_once_and_not_again_before_it_is_time(self, source):
        _table(source, "orders")
        assert remote.due(now=timezone.now()) == [source]

        _rebuild(source)

        seen = RemoteCatalog.objects.get().looked_at
        assert remote.due(now=timezone.now()) == []
        _rebuild(source)
        assert RemoteCatalog.objects.get().looked_at == seen
        assert remote.due(now=timezone.now() + timedelta(hours=2)) == [source]

    def test_looks_anew_when_a_secret_or_the_settings_change(self, source):
        _table(source, "orders")
        _rebuild(source)

        handed.set_secret(source=source, key="password", value=SecretStr("other"))

        assert remote.due(now=timezone.now()) == [source]


class TestSchemaByDefault:
    """A table that names no schema is one of ``public``."""

    def test_is_known_when_the_source_offers_it(self, source):
        _table(source, "orders")

        offered = {each.upstream_id: each.registered_as for each in offering.ask_offers(source)}

        assert (offered["public.orders"], offered["other.orders"]) == ("orders", "")

    def test_is_not_looked_for_one_by_one(self, source, monkeypatch):
        _table(source, "orders")
        monkeypatch.setattr(changing, "_LOOKED_AT_ONE_BY_ONE", 0)

        assert changing.impact(source=source, config=source.config).kept == 1


class TestOutage:
    def test_names_the_source_and_breaks_nothing(self, source, layout, server, stopped):
        _table(source, "orders")

        run = _rebuild(source)

        assert run.state == RunState.SUCCEEDED
        assert "The remote tables of shop cannot be looked at" in run.log
        assert "orders is left out" in run.log
        assert _views(layout) == set()
        assert Incident.objects.get(closed_at=None).source == source

    def test_is_tried_again_after_growing_pauses_and_forgotten_when_it_is_over(
        self, source, layout, server
    ):
        _table(source, "orders")
        server.control("stop", "-m", "immediate")
        pauses = []
        for _ in range(3):
            _let_time_pass()
            _rebuild(source)
            known = RemoteCatalog.objects.get()
            pauses.append(round((known.next_look_at - known.looked_at).total_seconds()))
        server.control("start")
        _let_time_pass()
        _rebuild(source)

        assert pauses == [60, 120, 240]
        assert not Incident.objects.filter(closed_at=None).exists()
        assert _views(layout) == {"main.orders", "shop.orders"}

    def test_leaves_the_views_that_were_there(self, source, layout, server):
        _table(source, "orders")
        _rebuild(source)
        server.control("stop", "-m", "immediate")
        try:
            _let_time_pass()
            Source.objects.update(extract_stamp=None, analytics_stamp=None)
            _rebuild(source)
        finally:
            server.control("start")

        assert _views(layout) == {"main.orders", "shop.orders"}
        with _analytics(layout, source) as connection:
            assert connection.sql("SELECT count(*) FROM orders").fetchone() == (2,)

    def test_of_a_wrong_password_says_so(self, source):
        handed.set_secret(source=source, key="password", value=SecretStr("wrong"))
        _table(source, "orders")

        run = _rebuild(source)

        assert "password" in run.log
        assert "wrong" not in run.log.replace("wrong password", "")

    def test_has_no_way_to_keep_other_sources_waiting(self, source, layout, server, stopped):
        _table(source, "orders")
        twin = _source("twin", server)
        _table(twin, "orders_2")
        regeneration.request_behind()

        run = _rebuild(None)

        assert run.state == RunState.SUCCEEDED
        assert run.log.count("cannot be looked at") == 2


class TestPreview:
    def test_reads_the_first_rows_at_the_source(self, source):
        table = _table(source, "orders")

        found = previewing.first_remote_rows(table)

        assert list(found.columns) == ["id", "amount", "at", "mood", NAME]
        assert found.rows[0][:2] == ["1", "2.50"]

    def test_is_on_the_page_of_the_table(self, source, client, admin):
        table = _table(source, "orders")
        client.force_login(admin)

        url = reverse("admin:catalog_table_part", args=[table.pk, "preview"])
        page = client.get(url).content.decode()

        assert "2 rows as its source has them now" in page

    def test_says_what_is_wrong_during_an_outage(self, source, client, admin, stopped):
        table = _table(source, "orders")
        client.force_login(admin)

        url = reverse("admin:catalog_table_part", args=[table.pk, "preview"])
        response = client.get(url)

        assert response.status_code == 200
        assert "Check host and port of the source" in response.content.decode()


class TestNames:
    def test_of_a_long_source_stay_within_the_rule_and_apart(self):
        first, second = Source(slug="a" * 63 + "b"), Source(slug="a" * 63 + "c")

        aliases = {remote.alias_of(first), remote.alias_of(second)}

        assert len(aliases) == 2
        assert all(len(alias) <= 64 for alias in aliases)
        assert len(remote.variable_of(first, "password")) <= 64
        assert remote.variable_of(first, "password").endswith("_PASSWORD")
