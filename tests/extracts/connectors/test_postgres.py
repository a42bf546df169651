from __future__ import annotations

import resource

import duckdb
import pytest

from agnes_site.core.errors import AgnesError
from catalog import connectors
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.database.errors import QueryRefusedError, UpstreamMissingError
from extracts.connectors.postgres import catalog
from extracts.connectors.postgres.connector import PostgresConnector
from extracts.engine.candidate import Candidate
from extracts.engine.keys import DuplicateKeyError
from tests.extracts.connectors.contract import ConnectorContract
from tests.extracts.connectors.postgres_server import PASSWORD, Server


@pytest.fixture
def connector():
    return connectors.get("postgres")


@pytest.fixture
def config(connector, server: Server):
    return connector.config_schema(
        host="127.0.0.1", port=server.port, database="shop", user="reader", sslmode="require"
    )


@pytest.fixture
def secrets():
    return {"password": PASSWORD}


@pytest.fixture
def schema(server: Server):
    """A schema that the reader may look into, empty at first."""
    server.execute(
        "DROP SCHEMA IF EXISTS stock CASCADE; CREATE SCHEMA stock; GRANT USAGE ON SCHEMA stock "
        "TO reader; ALTER DEFAULT PRIVILEGES IN SCHEMA stock GRANT SELECT ON TABLES TO reader"
    )
    return "stock"


def request(name: str, *, bucket: str = "stock", options=None, **fields) -> TableRequest:
    return TableRequest(
        name="t", source_table=name, bucket=bucket,
        options=PostgresConnector.table_schema(**(options or {})), **fields,
    )  # fmt: skip


class TestContract(ConnectorContract):
    @pytest.fixture
    def connector(self):
        return connectors.get("postgres")

    @pytest.fixture
    def config(self, connector, server):
        return connector.config_schema(
            host="127.0.0.1", port=server.port, database="shop", user="reader",
            schemas=("public",),
        )  # fmt: skip

    @pytest.fixture
    def secrets(self):
        return {"password": PASSWORD}

    @pytest.fixture
    def table(self):
        return request("pgbench_tellers", bucket="public", primary_key=("tid",))


def bring(connector, config, secrets, table, folder, **fields):
    """Extract a table and return its rows and the result."""
    out = Candidate(folder)
    wanted = ExtractRequest(table=table, **fields)
    method = connector.run_sql if table.source_query else connector.extract
    result = method(config, secrets, wanted, out)
    rows = duckdb.sql(f"FROM '{result.parts[0].path}'").fetchall()
    return rows, result


def test_offers_every_kind_of_table_with_keys_sizes_and_comments(
    connector, config, secrets, server, schema
):
    server.execute("""
        CREATE TABLE stock.items (place int, id int, name text, PRIMARY KEY (id, place));
        COMMENT ON TABLE stock.items IS 'One row an item.';
        COMMENT ON COLUMN stock.items.name IS 'As printed on the box.';
        INSERT INTO stock.items SELECT 1, n, 'x' FROM generate_series(1, 1000) n;
        ANALYZE stock.items;
        CREATE VIEW stock.names AS SELECT name FROM stock.items;
        CREATE MATERIALIZED VIEW stock.kept AS SELECT id FROM stock.items;
        CREATE TABLE stock.days (day date, n int) PARTITION BY RANGE (day);
        CREATE TABLE stock.days_1 PARTITION OF stock.days
            FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        INSERT INTO stock.days SELECT '2024-02-03', n FROM generate_series(1, 500) n;
        ANALYZE stock.days_1;
        CREATE TABLE stock.hidden (n int);
        REVOKE SELECT ON stock.hidden FROM reader;
    """)

    found = {
        spec.source_table: spec
        for spec in connector.discover(config, secrets)
        if spec.bucket == "stock"
    }

    assert set(found) == {"items", "names", "kept", "days"}
    items = found["items"]
    assert items.primary_key == ("id", "place")
    assert items.rows == 1000
    assert items.bytes > 0
    assert items.description == "One row an item."
    assert [(c.name, c.nullable) for c in items.columns] == [
        ("place", False), ("id", False), ("name", True),
    ]  # fmt: skip
    assert items.columns[2].description == "As printed on the box."
    assert found["days"].rows == 500
    assert found["names"].rows is None


def test_offers_a_thousand_tables_with_three_queries(connector, config, secrets, server, schema):
    server.execute("""
        DO $$ BEGIN FOR n IN 1..1000 LOOP
            EXECUTE format('CREATE TABLE stock.t%s (id int PRIMARY KEY, a text, b numeric)', n);
        END LOOP; END $$
    """)
    asked: list[str] = []

    with connector.asked(config, secrets) as upstream:
        values = upstream.values
        upstream.values = lambda sql: (asked.append(sql), values(sql))[1]
        found = [spec for spec in catalog.offered(upstream) if spec.bucket == "stock"]

    assert len(found) == 1000
    assert len(asked) == 3


def test_offers_only_the_schemas_that_are_wanted(connector, config, secrets, server, schema):
    server.execute("CREATE TABLE stock.items (id int)")
    only = config.model_copy(update={"schemas": ("stock",)})

    assert [spec.upstream_id for spec in connector.discover(only, secrets)] == ["stock.items"]
    assert connector.test(only, secrets).message.endswith("1 table in stock can be read.")


def test_says_that_a_schema_holds_nothing_to_read(connector, config, secrets, server, schema):
    only = config.model_copy(update={"schemas": ("nowhere",)})

    assert connector.test(only, secrets).message.endswith("0 tables in nowhere can be read.")


def test_sorts_texts_by_their_bytes_and_the_rest_at_the_source(
    connector, config, secrets, server, schema, tmp_path
):
    server.execute("""
        CREATE TABLE stock.words (word text COLLATE "en-x-icu", n int, PRIMARY KEY (word, n));
        INSERT INTO stock.words VALUES ('b', 1), ('B', 1), ('a', 2), ('Z', 1), ('ä', 1), ('a', 1)
    """)
    table = request("words", primary_key=("word", "n"))

    rows, _ = bring(connector, config, secrets, table, tmp_path / "run")

    assert rows == [("B", 1), ("Z", 1), ("a", 1), ("a", 2), ("b", 1), ("ä", 1)]


def test_tells_what_the_database_says_of_columns(
    connector, config, secrets, server, schema, tmp_path
):
    server.execute("CREATE TABLE stock.t (n int, m int); COMMENT ON COLUMN stock.t.n IS 'Boxes.'")

    _, result = bring(connector, config, secrets, request("t"), tmp_path / "run")

    assert result.descriptions == {"n": "Boxes."}


@pytest.mark.hostile(15)
def test_takes_names_of_any_kind(connector, config, secrets, server, schema, tmp_path):
    name = """x") OR 1=1 --'"{}%s\\"""
    quoted = '"' + name.replace('"', '""') + '"'
    server.execute(f"CREATE TABLE stock.{quoted} ({quoted} int PRIMARY KEY, {{col}} json)".replace(
        "{col}", '"{0} {} {refuse} {label}"'
    ))  # fmt: skip
    server.execute(f"INSERT INTO stock.{quoted} VALUES (7, '[]')")

    rows, _ = bring(connector, config, secrets, request(name, primary_key=(name,)), tmp_path / "r")

    assert rows == [(7, "[]")]


@pytest.mark.hostile(53)
def test_reads_from_one_snapshot(connector, config, secrets, server, schema, tmp_path, monkeypatch):
    """What is committed between two queries of a run is not seen by the second one."""
    server.execute(
        "CREATE TABLE stock.items (id int PRIMARY KEY); INSERT INTO stock.items VALUES (1)"
    )
    found = catalog.table_relation

    def interrupted(*arguments, **named):
        relation = found(*arguments, **named)
        server.execute("INSERT INTO stock.items VALUES (2)")
        return relation

    monkeypatch.setattr(catalog, "table_relation", interrupted)

    rows, _ = bring(connector, config, secrets, request("items"), tmp_path / "run")

    assert rows == [(1,)]


@pytest.mark.hostile(53)
def test_refuses_two_rows_with_the_same_key(connector, config, secrets, server, schema, tmp_path):
    server.execute("CREATE TABLE stock.items (id int); INSERT INTO stock.items VALUES (1), (1)")

    with pytest.raises(DuplicateKeyError):
        bring(connector, config, secrets, request("items", primary_key=("id",)), tmp_path / "run")


def test_says_which_table_is_missing(connector, config, secrets, schema, tmp_path):
    with pytest.raises(UpstreamMissingError, match=r"no table stock\.gone"):
        bring(connector, config, secrets, request("gone"), tmp_path / "run")


def test_runs_a_query_in_the_words_of_the_source(
    connector, config, secrets, server, schema, tmp_path
):
    query = "SELECT bid, count(*) AS n, avg(aid) AS mean FROM pgbench_accounts GROUP BY bid -- all"

    rows, result = bring(
        connector, config, secrets, request("", source_query=query), tmp_path / "run"
    )

    assert rows == [(1, 100_000, "50000.500000000000")]
    assert "mean" in result.notes[0]


def test_tells_the_columns_of_a_query_without_running_it(connector, config, secrets):
    query = (
        "SELECT aid / (bid - 1) AS n, now() AS at, NULL::numeric(9,2) AS amount, "
        "ARRAY['a'] AS tags FROM pgbench_accounts;"
    )

    found = connector.check_query(config, secrets, query)

    assert [(column.name, column.type) for column in found] == [
        ("n", "INTEGER"), ("at", "TIMESTAMP WITH TIME ZONE"), ("amount", "DECIMAL(9,2)"),
        ("tags", "VARCHAR[]"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT 1 AS a; DROP TABLE pgbench_tellers",
        "SELECT 1) TO STDOUT; DROP TABLE pgbench_tellers; --",
        "DROP TABLE pgbench_tellers",
        "INSERT INTO pgbench_tellers (tid) VALUES (99) RETURNING tid",
        "WITH gone AS (DELETE FROM pgbench_tellers RETURNING tid) SELECT * FROM gone",
        "SHOW ALL",
        "EXPLAIN SELECT 1",
        "SELECT 1 AS a, 2 AS a",
        "SELECT $1::int AS a",
        "COPY pgbench_tellers TO PROGRAM 'id'",
        "BEGIN",
    ],
)
def test_refuses_what_is_no_query(connector, config, secrets, query, server):
    with pytest.raises(QueryRefusedError):
        connector.check_query(config, secrets, query)

    with server.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM pgbench_tellers").fetchone() == (10,)


def test_says_where_a_query_is_wrong(connector, config, secrets):
    with pytest.raises(AgnesError) as caught:
        connector.check_query(config, secrets, "SELECT bid\nFROM pgbench_tellers\nWHERE nope = 1")

    assert 'column "nope" does not exist' in caught.value.message
    assert "LINE 3: WHERE nope = 1\n              ^" in caught.value.message


def test_cannot_write_even_where_the_user_may(connector, config, server):
    owner = config.model_copy(update={"host": server.socket, "user": "postgres"})
    server.execute("CREATE SEQUENCE IF NOT EXISTS counter")

    relation = request("", source_query="SELECT nextval('counter') AS n")

    with pytest.raises(QueryRefusedError, match="read-only"):
        connector.preview(owner, {}, relation, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_brings_five_million_rows_with_little_memory(connector, config, secrets, server, tmp_path):
    server.execute(
        "DROP TABLE IF EXISTS many; CREATE TABLE many AS SELECT n AS id, md5(n::text) AS text, "
        "now() - n * interval '1 s' AS at FROM generate_series(1, 5000000) n; "
        "GRANT SELECT ON many TO reader"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    out = Candidate(tmp_path / "run")
    table = request("many", bucket="public", primary_key=("id",))
    result = connector.extract(config, secrets, ExtractRequest(table=table), out)

    assert result.parts[0].rows == 5_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024
