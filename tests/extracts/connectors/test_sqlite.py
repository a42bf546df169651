from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from agnes_site.core.errors import AgnesError
from catalog import connectors
from catalog.connectors import (
    CurrentPart,
    ExtractMode,
    ExtractRequest,
    Reach,
    TableRequest,
)
from extracts.connectors.database.errors import (
    CursorTypeError,
    QueryRefusedError,
    SourceBusyError,
    SourceUnreachableError,
    UpstreamMissingError,
    ValueUnreadableError,
)
from extracts.connectors.reach.paths import PathNotAllowedError
from extracts.connectors.sqlite.connection import NotADatabaseError
from extracts.connectors.sqlite.connector import SqliteConnector
from extracts.engine.candidate import Candidate
from extracts.engine.publish import validate
from tests.extracts.connectors.contract import ConnectorContract


@pytest.fixture
def place(tmp_path):
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop" / "shop.db"


@pytest.fixture
def connector(place):
    return connectors.get("sqlite").within(Reach(roots=(place.parent,)))


@pytest.fixture
def config(connector, place):
    return connector.config_schema(path=place)


@pytest.fixture
def execute(place):
    """Run statements on the database."""

    def run(script: str) -> None:
        with closing(sqlite3.connect(place)) as database:
            database.executescript(script)

    return run


def request(name: str, *, options=None, **fields) -> TableRequest:
    return TableRequest(
        name="t", source_table=name, options=SqliteConnector.table_schema(**(options or {})),
        **fields,
    )  # fmt: skip


@pytest.fixture
def bring(connector, config, tmp_path):
    """Extract a table and return its columns and rows, as text."""

    def run(table: TableRequest):
        out = Candidate(tmp_path / "run")
        method = connector.run_sql if table.source_query else connector.extract
        part = method(config, {}, ExtractRequest(table=table), out).parts[0]
        columns = validate(part.path, expected_rows=part.rows).columns
        with duckdb.connect() as reader:
            rows = reader.execute(f"SELECT COLUMNS(*)::VARCHAR FROM '{part.path}'").fetchall()
        return {column.name: column.type for column in columns}, rows

    return run


class TestContract(ConnectorContract):
    @pytest.fixture
    def connector(self, place):
        return connectors.get("sqlite").within(Reach(roots=(place.parent,)))

    @pytest.fixture
    def config(self, connector, place, execute):
        execute("""
            CREATE TABLE items (name TEXT, id INTEGER PRIMARY KEY);
            INSERT INTO items VALUES ('c', 3), ('a', 1), ('b', 20)
        """)
        return connector.config_schema(path=place)

    @pytest.fixture
    def table(self):
        return request("items", primary_key=("id",))


def test_serves_values_as_their_columns_are_declared(bring, execute):
    execute("""
        CREATE TABLE t (i INTEGER, big BIGINT, r REAL, n NUMERIC(10,2), x VARCHAR(10), b BLOB,
            bo BOOLEAN, d DATE, ts DATETIME, u UUID);
        INSERT INTO t VALUES (1, 9223372036854775807, 0.1, 12.34, 'ä', x'00ff', 1, '2024-02-29',
            '2024-01-01 10:00:00.123456', 'u');
        INSERT INTO t VALUES (NULL, -1, 2, 1, '1', 'text', 'true', NULL, '2024-01-01T10:00:00Z', 1)
    """)

    types, rows = bring(request("t"))

    assert list(types.values()) == [
        "BIGINT", "BIGINT", "DOUBLE", "DOUBLE", "VARCHAR", "BLOB", "BOOLEAN", "DATE", "TIMESTAMP",
        "VARCHAR",
    ]  # fmt: skip
    assert rows == [
        ("1", "9223372036854775807", "0.1", "12.34", "ä", r"\x00\xFF", "true", "2024-02-29",
         "2024-01-01 10:00:00.123456", "u"),
        (None, "-1", "2.0", "1.0", "1", "text", "true", None, "2024-01-01 10:00:00", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("INTEGER", "'abc'", "text 'abc'"),
        ("INTEGER", "2.5", "real '2.5'"),
        ("REAL", "'abc'", "text 'abc'"),
        ("NUMERIC", "9223372036854775807", "integer '9223372036854775807'"),
        ("BOOLEAN", "2", "integer '2'"),
        ("DATE", "1700000000", "integer '1700000000'"),
        ("DATE", "'2024-01-01 10:00:00'", "text '2024-01-01 10:00:00'"),
        ("TIMESTAMP", "2460000.5", "real '2460000.5'"),
        ("TEXT", "x'00ff'", "blob"),
    ],
)
def test_names_row_and_column_of_a_value_of_another_type(bring, execute, kind, value, told):
    execute(f"CREATE TABLE t (v {kind}); INSERT INTO t VALUES (NULL), ({value})")

    with pytest.raises(ValueUnreadableError) as caught:
        bring(request("t"))

    assert "Row 2 of t: column v is" in caught.value.message
    assert told in caught.value.message
    assert bring(request("t", options={"as_text": ["v"]}))[0] == {"v": "VARCHAR"}


@pytest.mark.parametrize(
    ("values", "served_type", "served"),
    [
        ("(1), (NULL)", "BIGINT", [("1",), (None,)]),
        ("(1), (0.5)", "DOUBLE", [("1.0",), ("0.5",)]),
        ("('a'), ('b')", "VARCHAR", [("a",), ("b",)]),
        ("(x'01')", "BLOB", [(r"\x01",)]),
        ("(1), ('a'), (0.1)", "VARCHAR", [("1",), ("a",), ("0.10000000000000001",)]),
        ("(NULL)", "VARCHAR", [(None,)]),
    ],
)
def test_finds_the_type_of_columns_that_declare_none(bring, execute, values, served_type, served):
    execute(f"CREATE TABLE t (v); INSERT INTO t VALUES {values}")

    assert bring(request("t")) == ({"v": served_type}, served)


def test_reads_views_generated_columns_and_tables_without_rowid(bring, execute, connector, config):
    execute("""
        CREATE TABLE t (a TEXT, b INT, twice INT AS (b * 2) STORED, half REAL AS (b / 2.0),
            PRIMARY KEY (b, a)) WITHOUT ROWID;
        INSERT INTO t (a, b) VALUES ('y', 2), ('x', 1);
        CREATE VIEW v AS SELECT a, b * 10 AS ten FROM t;
        CREATE VIEW broken AS SELECT * FROM gone;
    """)

    assert bring(request("t", primary_key=("b", "a"))) == (
        {"a": "VARCHAR", "b": "BIGINT", "twice": "BIGINT", "half": "DOUBLE"},
        [("x", "1", "2", "0.5"), ("y", "2", "4", "1.0")],
    )
    found = {spec.source_table: spec for spec in connector.discover(config, {})}
    assert found["t"].primary_key == ("b", "a")
    assert [column.type for column in found["v"].columns] == ["VARCHAR", "BIGINT"]
    assert "gone" in found["broken"].problem


def test_sorts_as_bytes_whatever_the_collation(bring, execute):
    execute("""
        CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER);
        INSERT INTO t VALUES ('b', 10), ('A', 9), ('C', 1)
    """)

    assert [row[0] for row in bring(request("t", primary_key=("k",)))[1]] == ["A", "C", "b"]
    assert [row[1] for row in bring(request("t", primary_key=("n",)))[1]] == ["1", "9", "10"]


@pytest.mark.hostile(15)
def test_takes_names_of_any_kind(bring, execute):
    name = """x") OR 1=1 --'{}"""
    quoted = '"' + name.replace('"', '""') + '"'
    execute(
        f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY); INSERT INTO {quoted} VALUES (7)"
    )

    assert bring(request(name, primary_key=(name,))) == ({name: "BIGINT"}, [("7",)])


def test_reads_beside_a_writer(bring, execute, place):
    execute("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)")
    with closing(sqlite3.connect(place)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")

        assert bring(request("t"))[1] == [("1",)]


def test_leaves_the_file_as_it_is(bring, execute, place):
    execute("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)")
    before = place.read_bytes()

    bring(request("t"))

    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_reads_large_values(bring, execute):
    execute("CREATE TABLE t (b BLOB); INSERT INTO t VALUES (zeroblob(20000000))")

    assert len(bring(request("t"))[1][0][0]) == 80_000_000


def test_waits_for_a_writer_only_so_long(connector, config, execute, place):
    execute("CREATE TABLE t (id INTEGER)")
    patient = config.model_copy(update={"busy_timeout_seconds": 0})
    # Locks of the same process would not count.
    program = (
        "import sqlite3, sys; held = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "held.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"locked\n"

        with pytest.raises(SourceBusyError):
            connector.test(patient, {})


def test_says_that_a_file_is_no_database(connector, config, place):
    place.write_text("id,name\n" * 1000)

    with pytest.raises(NotADatabaseError):
        connector.test(config, {})


def test_says_that_there_is_no_file(connector, config):
    with pytest.raises(SourceUnreachableError, match="no file"):
        connector.test(config, {})


def test_reads_nothing_outside_of_what_the_operator_allows(connector, config, tmp_path, place):
    elsewhere = tmp_path / "elsewhere.db"
    sqlite3.connect(elsewhere).close()
    place.symlink_to(elsewhere)

    with pytest.raises(PathNotAllowedError):
        connector.test(config, {})


def test_says_which_table_is_missing(bring, execute):
    execute("CREATE TABLE t (id INTEGER)")

    with pytest.raises(UpstreamMissingError, match="no table gone"):
        bring(request("gone"))


def test_runs_a_query_in_the_words_of_the_source(bring, execute):
    execute("CREATE TABLE t (id INTEGER, x TEXT); INSERT INTO t VALUES (1, 'a'), (2, NULL)")

    found = bring(request("", source_query="SELECT id, ifnull(x, '-') AS x FROM t -- all\n;"))

    assert found == ({"id": "BIGINT", "x": "VARCHAR"}, [("1", "a"), ("2", "-")])


@pytest.mark.parametrize(
    "query",
    ["", "SELECT 1 AS a; DROP TABLE t", "DROP TABLE t", "INSERT INTO t VALUES (9) RETURNING id",
     "SELECT 1) AS x; DROP TABLE t; --", "PRAGMA table_info('t')",
     "ATTACH 'x.db' AS x", "EXPLAIN SELECT 1", "SELECT nope FROM t"],
)  # fmt: skip
def test_refuses_what_is_no_query(connector, config, execute, query, bring):
    execute("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)")

    with pytest.raises((QueryRefusedError, UpstreamMissingError)):
        connector.check_query(config, {}, query)

    assert bring(request("t"))[1] == [("1",)]


@pytest.fixture
def follow(connector, config, tmp_path):
    """Bring the table ``t`` twice, by what ``between`` changes; return rows and notes."""
    connector._now = lambda: datetime(2024, 6, 10, tzinfo=UTC)

    def run(between, *, cursor: str = "at", fields=None, **options):
        fields = {
            "primary_key": ("id",), "incremental_column": cursor, "options": options,
            **(fields or {}),
        }  # fmt: skip
        first = Candidate(tmp_path / "first")
        wanted = ExtractRequest(table=request("t", **fields))
        result = connector.extract(config, {}, wanted, first)
        part = validate(result.parts[0].path, expected_rows=result.parts[0].rows)
        between()
        wanted = ExtractRequest(
            table=request("t", known_columns=part.columns, **fields),
            mode=ExtractMode.INCREMENTAL, state=result.state,
            current=(CurrentPart(key="", path=part.path),),
        )  # fmt: skip
        result = connector.extract(config, {}, wanted, Candidate(tmp_path / "second"))
        with duckdb.connect() as reader:
            rows = reader.execute(f"SELECT id, name FROM '{result.parts[0].path}'").fetchall()
        return rows, result.notes

    return run


@pytest.mark.hostile(53)
def test_follows_changes_and_compares_keys(execute, follow):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP);
        INSERT INTO t VALUES (1, 'a', '2024-06-01 10:00:00'), (2, 'b', '2024-06-02 10:00:00')
    """)

    rows, notes = follow(
        lambda: execute("""
            UPDATE t SET name = 'B', at = '2024-06-03 10:00:00' WHERE id = 2;
            DELETE FROM t WHERE id = 1
        """),
        deletes="compare_keys",
    )

    assert "Merged" in notes[-1]
    assert rows == [(2, "B")]


@pytest.mark.hostile(53)
def test_brings_a_row_that_came_later_with_the_last_cursor(execute, follow):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP);
        INSERT INTO t VALUES (1, 'a', '2024-06-01 10:00:00'), (2, 'b', '2024-06-02 10:00:00')
    """)

    rows, notes = follow(lambda: execute("INSERT INTO t VALUES (3, 'c', '2024-06-02 10:00:00')"))

    assert "Merged" in notes[-1]
    assert rows == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.hostile(53)
@pytest.mark.parametrize(("kind", "time"), [("TIMESTAMP", " 10:00:00"), ("DATE", "")])
def test_looks_back_for_rows_that_arrive_late(execute, follow, kind, time):
    execute(f"""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at {kind});
        INSERT INTO t VALUES (1, 'a', '2024-05-30{time}'), (2, 'b', '2024-06-03{time}')
    """)
    late = f"""
        INSERT INTO t VALUES (3, 'late', '2024-06-02{time}'), (4, 'too late', '2024-06-01{time}')
    """

    rows, notes = follow(lambda: execute(late), fields={"look_back": timedelta(days=1)})

    assert "Merged" in notes[-1]
    assert rows == [(1, "a"), (2, "b"), (3, "late")]


@pytest.mark.parametrize(
    ("values", "kept"), [((), [(2, "0"), (3, "False"), (4, None)]), (("yes",), [(2, "0")])]
)
def test_leaves_out_what_a_tombstone_marks(execute, follow, values, kept):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP);
        INSERT INTO t VALUES (1, 'yes', '2024-06-01 10:00:00'), (2, '0', '2024-06-02 10:00:00')
    """)
    more = "INSERT INTO t SELECT 3, 'False', '2024-06-03 10:00:00' UNION SELECT 4, NULL, NULL;"
    if values:
        more = "INSERT INTO t VALUES (3, 'yes', '2024-06-03 10:00:00')"

    rows, notes = follow(
        lambda: execute(more), deletes="tombstone", deleted_column="name", deleted_values=values
    )

    assert "Merged" in notes[-1]
    assert rows == kept


@pytest.mark.parametrize("zero", ["0.0", "-0.0", "0"])
def test_keeps_what_a_number_marks_with_nothing(execute, follow, zero):
    execute(f"""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name REAL, at TIMESTAMP);
        INSERT INTO t VALUES (1, {zero}, '2024-06-01 10:00:00'), (2, 0.5, '2024-06-02 10:00:00')
    """)

    rows, _ = follow(
        lambda: execute(f"INSERT INTO t VALUES (3, {zero}, '2024-06-03 10:00:00')"),
        deletes="tombstone", deleted_column="name",
    )  # fmt: skip

    assert [id_ for id_, _ in rows] == [1, 3]


def test_takes_a_column_of_the_name_that_marks_changes(execute, follow):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP, is_deleted INTEGER);
        INSERT INTO t VALUES (1, 'a', '2024-06-01 10:00:00', 1), (2, 'b', '2024-06-02 10:00:00', 0)
    """)

    rows, notes = follow(
        lambda: execute("UPDATE t SET name = NULL, at = '2024-06-03 10:00:00' WHERE id = 1"),
        deletes="tombstone", deleted_column="name", deleted_values=["b"],
    )  # fmt: skip

    assert "Merged" in notes[-1]
    assert rows == [(1, None)]


def test_lets_rows_go_that_became_too_old(execute, follow, connector):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP);
        INSERT INTO t VALUES (1, 'a', '2024-06-01 10:00:00'), (2, 'b', '2024-06-02 10:00:00'),
            (3, 'c', '2024-06-03 10:00:00'), (4, 'none', NULL)
    """)

    def a_day_later():
        connector._now = lambda: datetime(2024, 6, 11, tzinfo=UTC)

    rows, notes = follow(a_day_later, fields={"max_history": timedelta(days=8)})

    assert "Merged" in notes[-1]
    assert rows == [(3, "c"), (4, "none")]


@pytest.mark.parametrize(
    ("cursor", "fields"),
    [("price", {}), ("id", {"max_history": timedelta(days=8)})],
)
def test_refuses_a_cursor_that_cannot_be_one(execute, follow, cursor, fields):
    execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL)")

    with pytest.raises(CursorTypeError, match=f"'{cursor}'"):
        follow(lambda: None, cursor=cursor, fields=fields)


def test_names_a_cursor_that_is_no_number(execute, follow):
    execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, version INTEGER);
        INSERT INTO t VALUES (1, 'a', 1)
    """)

    with pytest.raises(ValueUnreadableError, match=r"column version is BIGINT .* 'later'"):
        follow(lambda: execute("INSERT INTO t VALUES (2, 'b', 'later')"), cursor="version")


def test_says_what_is_wrong_with_text_that_is_no_unicode(bring, execute):
    execute("CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")

    with pytest.raises(AgnesError, match="Column x of t holds a text that is not UTF-8"):
        bring(request("t"))
