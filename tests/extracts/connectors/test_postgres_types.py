from __future__ import annotations

import duckdb
import pytest

from catalog import connectors
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.database.errors import ValueUnreadableError
from extracts.engine.candidate import Candidate
from extracts.engine.publish import validate


@pytest.fixture
def connector():
    return connectors.get("postgres")


@pytest.fixture
def config(connector, server):
    return connector.config_schema(
        host=server.socket, port=server.port, database="shop", user="postgres"
    )


@pytest.fixture
def values(connector, config, server, tmp_path):
    """Put values into a column of a type, and return what is served: the type, the values."""
    server.execute("""
        DROP SCHEMA IF EXISTS kinds CASCADE; CREATE SCHEMA kinds;
        CREATE EXTENSION IF NOT EXISTS hstore;
        CREATE TYPE kinds.mood AS ENUM ('sad', 'ok');
        CREATE TYPE kinds.pair AS (a int, b text);
        CREATE DOMAIN kinds.amount AS numeric(10,2) CHECK (value >= 0);
    """)

    def served(kind: str, *given: str, as_text: tuple[str, ...] = ()):
        rows = ", ".join(f"({number}, {value})" for number, value in enumerate(given))
        server.execute(f"DROP TABLE IF EXISTS kinds.t; CREATE TABLE kinds.t (n int, v {kind})")
        server.execute(f"SET search_path = kinds, public; INSERT INTO t VALUES {rows}")
        table = TableRequest(
            name="t", source_table="t", bucket="kinds", primary_key=("n",),
            options=connector.table_schema(as_text=as_text),
        )  # fmt: skip
        out = Candidate(tmp_path / "run")
        part = connector.extract(config, {}, ExtractRequest(table=table), out).parts[0]
        validate(part.path, expected_rows=part.rows)
        with duckdb.connect() as reader:
            reader.execute("SET TimeZone = 'UTC'")
            query = f"SELECT typeof(v), v::VARCHAR FROM '{part.path}' ORDER BY n"
            found = reader.execute(query).fetchall()
        return found[0][0], [value for _, value in found]

    return served


@pytest.mark.parametrize(
    ("kind", "given", "served_type", "served"),
    [
        ("boolean", ["true", "NULL"], "BOOLEAN", ["true", None]),
        ("smallint", ["-32768"], "SMALLINT", ["-32768"]),
        ("bigint", ["9223372036854775807"], "BIGINT", ["9223372036854775807"]),
        ("numeric(38,10)", ["1.5"], "DECIMAL(38,10)", ["1.5000000000"]),
        ("numeric(5,-2)", ["12345"], "DECIMAL(7,0)", ["12300"]),
        ("numeric(2,4)", ["0.0012"], "DECIMAL(4,4)", [".0012"]),
        ("numeric", ["0.1", "'NaN'", "12345678901234567890123456789012345678901.5"], "VARCHAR",
         ["0.1", "NaN", "12345678901234567890123456789012345678901.5"]),
        ("numeric(50,4)", ["1.25"], "VARCHAR", ["1.2500"]),
        ("kinds.amount", ["12.5"], "DECIMAL(10,2)", ["12.50"]),
        ("real", ["0.1", "'NaN'", "'-Infinity'"], "FLOAT", ["0.1", "nan", "-inf"]),
        ("double precision", ["0.1"], "DOUBLE", ["0.1"]),
        ("money", ["1234.56"], "DECIMAL(21,4)", ["1234.5600"]),
        ("text", ["'ä\U0001f600'", "''", "NULL"], "VARCHAR", ["ä\U0001f600", "", None]),
        ("char(5)", ["'ab'"], "VARCHAR", ["ab"]),
        ('"char"', ["'x'"], "VARCHAR", ["x"]),
        ("name", ["'n'"], "VARCHAR", ["n"]),
        ("bytea", [r"'\x00ff27'"], "BLOB", [r"\x00\xFF\x27"]),
        ("date", ["'2024-02-29'", "'infinity'", "'0044-03-15 BC'"], "DATE",
         ["2024-02-29", "infinity", "0044-03-15 (BC)"]),
        ("timestamp", ["'2024-01-01 12:00:00.123456'", "'-infinity'"], "TIMESTAMP",
         ["2024-01-01 12:00:00.123456", "-infinity"]),
        ("timestamptz", ["'2024-01-01 12:00+02'", "'infinity'", "'0044-03-15 00:00+00 BC'"],
         "TIMESTAMP WITH TIME ZONE",
         ["2024-01-01 10:00:00+00", "infinity", "0044-03-15 (BC) 00:00:00+00"]),
        ("time", ["'23:59:59.999999'"], "TIME", ["23:59:59.999999"]),
        ("timetz", ["'12:00+05:30'"], "VARCHAR", ["12:00:00+05:30"]),
        ("interval", ["'1 year 3 days 04:05:06.7'"], "VARCHAR", ["1 year 3 days 04:05:06.7"]),
        ("uuid", ["'ffffffff-0000-4000-8000-000000000001'"], "UUID",
         ["ffffffff-0000-4000-8000-000000000001"]),
        ("json", ["""'{"a":  1.10, "a": 2}'"""], "JSON", ['{"a":  1.10, "a": 2}']),
        ("jsonb", ["""'{"a": 1.10}'"""], "JSON", ['{"a": 1.10}']),
        ("int[]", ["'{1,NULL,3}'", "'{}'", "NULL"], "INTEGER[]", ["[1, NULL, 3]", "[]", None]),
        ("text[]", ["""'{a,"b,c",NULL}'"""], "VARCHAR[]", ["[a, 'b,c', NULL]"]),
        ("numeric(9,2)[]", ["'{1.5}'"], "DECIMAL(9,2)[]", ["[1.50]"]),
        ("numeric[]", ["'{1.5,NaN}'"], "VARCHAR[]", ["[1.5, NaN]"]),
        ("boolean[]", ["'{t,f}'"], "BOOLEAN[]", ["[true, false]"]),
        ("uuid[]", ["'{ffffffff-0000-4000-8000-000000000001}'"], "VARCHAR[]",
         ["[ffffffff-0000-4000-8000-000000000001]"]),
        ("mood[]", ["'{ok,sad}'"], "VARCHAR[]", ["[ok, sad]"]),
        ("int[][]", ["'{{1,2},{3,4}}'"], "JSON", ["[[1, 2], [3, 4]]"]),
        ("mood", ["'ok'"], "VARCHAR", ["ok"]),
        ("pair", ["(1, 'x')"], "JSON", ['{"a": 1, "b": "x"}']),
        ("hstore", ["'a=>1'"], "JSON", ['{"a": "1"}']),
        ("int4range", ["'[1,5)'"], "VARCHAR", ["[1,5)"]),
        ("inet", ["'10.0.0.1'"], "VARCHAR", ["10.0.0.1/32"]),
        ("cidr", ["'10.0.0.0/8'"], "VARCHAR", ["10.0.0.0/8"]),
        ("macaddr", ["'08:00:2b:01:02:03'"], "VARCHAR", ["08:00:2b:01:02:03"]),
        ("tsvector", ["'a b'"], "VARCHAR", ["'a' 'b'"]),
        ("xml", ["'<a/>'"], "VARCHAR", ["<a/>"]),
        ("bit(3)", ["'101'"], "VARCHAR", ["101"]),
        ("varbit", ["'1'"], "VARCHAR", ["1"]),
        ("oid", ["4294967295"], "BIGINT", ["4294967295"]),
        ("point", ["'(1,2)'"], "VARCHAR", ["(1,2)"]),
    ],
)  # fmt: skip
def test_serves_every_type_as_it_is(values, kind, given, served_type, served):
    kind = f"kinds.{kind}" if kind.startswith(("mood", "pair")) else kind

    assert values(kind, *given) == (served_type, served)


def test_reads_generated_columns(values):
    found = values("int GENERATED ALWAYS AS (n * 2 + 1) STORED", "DEFAULT", "DEFAULT")

    assert found == ("INTEGER", ["1", "3"])


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("numeric(5,2)", "'NaN'", "NaN"),
        ("numeric(5,2)[]", "'{1,NaN}'", "{1.00,NaN}"),
        ("int[]", "'{{1,2},{3,4}}'", "{{1,2},{3,4}}"),
        ("time", "'24:00'", "24:00:00"),
    ],
)
@pytest.mark.hostile(21)
def test_names_the_column_whose_value_does_not_fit(values, kind, given, told):
    with pytest.raises(ValueUnreadableError) as caught:
        values(kind, "NULL", given)

    assert caught.value.message == (
        f"Column v holds a value that its type cannot hold here: {told}."
    )
    assert "as_text" in caught.value.hint


def test_reads_any_column_as_text(values):
    assert values("numeric(5,2)", "'NaN'", "1.5", as_text=("V",)) == ("VARCHAR", ["NaN", "1.50"])
