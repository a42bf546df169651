"""Tables that are brought up to date by their changes, against PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from catalog.connectors import (
    ColumnSpec,
    CurrentPart,
    ExtractMode,
    ExtractRequest,
    TableRequest,
)
from extracts.connectors.database.errors import CursorTypeError
from extracts.connectors.database.extracting import KeyNeededError
from extracts.connectors.postgres.connector import PostgresConnector
from extracts.engine.candidate import Candidate
from extracts.engine.keys import NullKeyError
from extracts.engine.publish import validate

NOW = datetime(2024, 6, 10, 12, tzinfo=UTC)


class Followed:
    """A table that is extracted again and again, each time from where the last run ended."""

    def __init__(self, server, folder, **fields) -> None:
        self.server = server
        self.connector = PostgresConnector(now=lambda: NOW)
        self.folder = folder
        self.fields = {
            "incremental_column": "at", "primary_key": ("id",), "options": {}, **fields
        }  # fmt: skip
        self.runs = 0
        self.state, self.notes = {}, ()
        self.current: tuple[CurrentPart, ...] = ()
        self.known: tuple[ColumnSpec, ...] = ()
        self.sha256 = ""

    def execute(self, sql: str) -> None:
        self.server.execute(f"SET TimeZone = 'UTC'; SET search_path = changes; {sql}")

    def run(self, mode: ExtractMode | None = None) -> list[tuple]:
        """Bring the table up to date and return its rows."""
        config = PostgresConnector.config_schema(
            host=self.server.socket, port=self.server.port, database="shop", user="postgres"
        )
        fields = {
            **self.fields,
            "options": PostgresConnector.table_schema(**self.fields["options"]),
        }
        table = TableRequest(
            name="t", source_table="t", bucket="changes", known_columns=self.known, **fields
        )
        mode = mode or (ExtractMode.INCREMENTAL if self.state else ExtractMode.FULL)
        wanted = ExtractRequest(table=table, mode=mode, state=self.state, current=self.current)
        self.runs += 1
        out = Candidate(self.folder / str(self.runs))
        result = self.connector.extract(config, {}, wanted, out)
        part = validate(result.parts[0].path, expected_rows=result.parts[0].rows)
        self.state, self.notes, self.sha256 = result.state, result.notes, part.sha256
        self.current = (CurrentPart(key="", path=part.path),)
        self.known = part.columns
        with duckdb.connect() as reader:
            return reader.execute(f"SELECT id, name FROM '{part.path}'").fetchall()


@pytest.fixture
def follow(server, tmp_path):
    server.execute("DROP SCHEMA IF EXISTS changes CASCADE; CREATE SCHEMA changes")
    server.execute("""
        CREATE TABLE changes.t (id int PRIMARY KEY, name text, at timestamptz, gone boolean);
        INSERT INTO changes.t VALUES (1, 'a', '2024-06-01', false),
            (2, 'b', '2024-06-02', false), (3, 'c', '2024-06-03', false)
    """)
    return lambda **fields: Followed(server, tmp_path, **fields)


def test_reads_only_what_changed_and_keeps_the_rest(follow):
    table = follow()
    assert table.run() == [(1, "a"), (2, "b"), (3, "c")]
    # Unnoticed: this change does not move the cursor.
    table.execute("UPDATE t SET name = 'unseen' WHERE id = 1")
    table.execute("UPDATE t SET name = 'B', at = '2024-06-04' WHERE id = 2")
    table.execute("INSERT INTO t VALUES (0, 'new', '2024-06-04'), (9, 'new', '2024-06-05')")

    assert table.run() == [(0, "new"), (1, "a"), (2, "B"), (3, "c"), (9, "new")]
    assert "Merged" in table.notes[-1]
    assert table.run(ExtractMode.FULL)[1] == (1, "unseen")


def test_gives_the_same_bytes_as_a_full_run(follow):
    table = follow()
    table.execute(
        "INSERT INTO t SELECT n, md5(n::text), timestamptz '2024-06-03' + n * interval '1 s' "
        "FROM generate_series(10, 100000) n"
    )
    table.run()
    table.execute("UPDATE t SET name = 'x', at = '2024-06-05' WHERE id % 100 = 7")
    table.run()
    merged = table.sha256
    assert "Merged" in table.notes[-1]

    table.run(ExtractMode.FULL)

    assert table.sha256 == merged


@pytest.mark.hostile(53)
def test_reads_rows_with_the_cursor_of_the_last_run_again(follow):
    table = follow()
    table.run()
    table.execute("INSERT INTO t VALUES (4, 'late', '2024-06-03')")

    assert (4, "late") in table.run()


@pytest.mark.hostile(53)
def test_looks_back_for_rows_that_arrive_late(follow):
    table = follow()
    table.run()
    table.execute("INSERT INTO t VALUES (4, 'late', '2024-06-02')")
    assert (4, "late") not in table.run()
    table.fields["look_back"] = timedelta(days=1)

    assert (4, "late") in table.run()


def test_always_brings_rows_without_a_cursor(follow):
    table = follow()
    table.run()
    table.execute("INSERT INTO t VALUES (4, 'none', NULL)")
    assert (4, "none") in table.run()
    table.execute("UPDATE t SET name = 'changed' WHERE id = 4")

    assert (4, "changed") in table.run()


def test_does_not_follow_a_cursor_into_the_future(follow):
    table = follow()
    table.execute("INSERT INTO t VALUES (4, 'typo', '2999-01-01'), (5, 'ever', 'infinity')")
    table.run()
    table.execute("INSERT INTO t VALUES (6, 'today', '2024-06-09')")

    assert (6, "today") in table.run()
    assert table.state["cursor"].startswith("2024-06-09")


def test_does_not_follow_a_cursor_that_is_no_number(follow):
    table = follow(incremental_column="version")
    table.execute("ALTER TABLE t ADD version numeric; UPDATE t SET version = id")
    table.execute("INSERT INTO t VALUES (4, 'odd', NULL, false, 'NaN')")
    table.run()
    table.execute("INSERT INTO t VALUES (5, 'new', NULL, false, 5)")

    assert (5, "new") in table.run()
    assert table.state["cursor"] == "5"


@pytest.mark.parametrize(
    "change",
    ["TRUNCATE t", "TRUNCATE t; INSERT INTO t VALUES (7, 'again', '2024-06-01')",
     "ALTER TABLE t ADD extra int", "ALTER TABLE t ALTER name TYPE varchar[] USING ARRAY[name]",
     "DELETE FROM t WHERE id = 3"],
)  # fmt: skip
@pytest.mark.hostile(53)
def test_reads_in_full_and_says_so_where_changes_do_not_tell_all(follow, change):
    table = follow()
    table.run()
    table.execute(change)

    rows = table.run()

    assert table.notes[-1].startswith("Read in full, because")
    with table.server.connect("shop") as connection:
        assert rows == connection.execute("SELECT id, name FROM changes.t ORDER BY id").fetchall()


def test_reads_in_full_after_a_change_of_its_settings(follow):
    table = follow()
    table.run()
    table.fields["options"] = {"deletes": "compare_keys"}

    table.run()

    assert "the settings of the table changed" in table.notes[-1]


def test_leaves_out_what_a_tombstone_marks(follow):
    table = follow(options={"deletes": "tombstone", "deleted_column": "gone"})
    table.execute("UPDATE t SET gone = true WHERE id = 1")
    assert table.run() == [(2, "b"), (3, "c")]
    table.execute("UPDATE t SET gone = true, at = '2024-06-04' WHERE id = 2")
    table.execute("UPDATE t SET gone = NULL, at = '2024-06-04' WHERE id = 1")

    assert table.run() == [(1, "a"), (3, "c")]


@pytest.mark.parametrize("kind", ["numeric(4, 2)", "float8", "int", "text"])
def test_keeps_what_a_tombstone_marks_with_nothing(follow, kind):
    table = follow(options={"deletes": "tombstone", "deleted_column": "gone"})
    table.execute(
        f"ALTER TABLE t ALTER gone TYPE {kind} USING 0; "
        f"UPDATE t SET gone = 1 WHERE id = 1; UPDATE t SET gone = NULL WHERE id = 2"
    )

    assert table.run() == [(2, "b"), (3, "c")]


def test_knows_the_values_of_a_tombstone(follow):
    table = follow(
        options={"deletes": "tombstone", "deleted_column": "name", "deleted_values": ["c"]}
    )

    assert table.run() == [(1, "a"), (2, "b")]


@pytest.mark.hostile(53)
def test_drops_rows_whose_key_is_gone(follow):
    table = follow(options={"deletes": "compare_keys"})
    table.run()
    table.execute("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (4, 'd', '2024-06-04')")

    assert table.run() == [(2, "b"), (3, "c"), (4, "d")]
    assert "Merged" in table.notes[-1]


def test_comparing_keys_finds_rows_that_were_never_seen(follow):
    table = follow(options={"deletes": "compare_keys"})
    table.run()
    table.execute("INSERT INTO t VALUES (0, 'restored', '2020-01-01')")

    assert table.run()[0] == (0, "restored")
    assert "never seen" in table.notes[-1]


def test_lets_rows_go_that_became_too_old(follow):
    table = follow(max_history=timedelta(days=8))
    table.execute("INSERT INTO t VALUES (4, 'none', NULL)")
    assert table.run() == [(2, "b"), (3, "c"), (4, "none")]
    table.connector = PostgresConnector(now=lambda: NOW + timedelta(days=1))

    assert table.run() == [(3, "c"), (4, "none")]
    assert "Merged" in table.notes[-1]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("date", "'2024-06-01'", "'2024-06-02'"),
        ("timestamp", "'2024-06-01 00:00:00.000001'", "'2024-06-01 00:00:00.000002'"),
        ("bigint", "9", "10"),
        ("numeric", "9.5", "10.5"),
        (
            "uuid",
            "'0190a6c5-0000-7000-8000-000000000000'",
            "'0290a6c5-0000-7000-8000-000000000000'",
        ),
        ("text", "'01J'''", "'01K'''"),
    ],
)
def test_follows_every_kind_of_cursor(follow, kind, before, after):
    table = follow(incremental_column="version")
    table.execute(f"ALTER TABLE t ADD version {kind} DEFAULT {before}")
    table.run()
    table.execute(f"UPDATE t SET name = 'B', version = {after} WHERE id = 2")

    assert table.run() == [(1, "a"), (2, "B"), (3, "c")]
    assert "Merged" in table.notes[-1]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", ["00000000-0000-4000-8000-000000000001", "ffffffff-0000-4000-8000-000000000000"]),
        ("text", ["B", "a"]),
        ("numeric(30,2)", ["-1.50", "12345678901234567890.12"]),
        ("timestamptz", ["0044-03-15 00:00:00+00 BC", "infinity"]),
    ],
)
def test_merges_by_every_kind_of_key(follow, kind, values):
    table = follow(primary_key=("key",))
    table.execute(f"TRUNCATE t; ALTER TABLE t ADD key {kind}")
    for number, value in enumerate(values):
        table.execute(f"INSERT INTO t VALUES ({number}, 'old', '2024-06-01', false, '{value}')")
    table.run()
    table.execute("UPDATE t SET name = 'new', at = '2024-06-02' WHERE id = 1")

    assert table.run() == [(0, "old"), (1, "new")]
    assert "Merged" in table.notes[-1]


def test_needs_a_primary_key(follow):
    with pytest.raises(KeyNeededError):
        follow(primary_key=()).run()


def test_refuses_rows_without_a_key(follow):
    table = follow(primary_key=("name",))
    table.execute("INSERT INTO t VALUES (4, NULL, '2024-06-04')")

    with pytest.raises(NullKeyError, match="'name'"):
        table.run()


def test_refuses_a_cursor_without_an_order(follow):
    with pytest.raises(CursorTypeError, match="'gone'"):
        follow(incremental_column="gone").run()
