"""What `agnes query` prints."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import duckdb
import pytest

pytestmark = pytest.mark.usefixtures("pulled")

KINDS = """
    SELECT 9223372036854775807 AS big, 170141183460469231731687303715884105727::HUGEINT AS huge,
        12345678901234567890.12::DECIMAL(38,2) AS money, TIMESTAMP '2026-01-02 03:04:05.678' AS at,
        TIMESTAMPTZ '2026-01-02 03:04:05+00' AS at_utc, DATE '2026-01-02' AS day,
        TIME '03:04:05' AS hour, NULL AS nothing, TRUE AS yes, 0.1::DOUBLE AS part,
        'NaN'::DOUBLE AS nan, 'a,"b"' AS text, 'x'::BLOB AS bytes, [1, 2] AS list,
        {'k': 1.50::DECIMAL(4,2)} AS struct
"""


@pytest.fixture
def pulled(workspace, signed_in, agnes, monkeypatch):
    """A workspace with data, and no server any more."""
    assert agnes("pull").exit_code == 0
    monkeypatch.delenv("AGNES_SERVER")
    monkeypatch.delenv("AGNES_TOKEN")


class TestQuery:
    def test_prints_a_table(self, agnes):
        result = agnes("query", "SELECT id, amount, 'x' AS text FROM orders ORDER BY id")

        assert result.stdout == (
            "id  amount  text\n--  ------  ----\n 0       0  x\n 1      10  x\n 2      20  x\n"
        )
        assert result.stderr == ""

    @pytest.mark.parametrize(
        ("args", "stdin"),
        [
            (["--sql", "SELECT 1 AS a"], None),
            (["--stdin"], "SELECT 1 AS a"),
            (["--stdin"], '{"sql": "SELECT 1 AS a"}'),
            (["SELECT 1 AS a;"], None),
            (["-- a comment\nSELECT 1 AS a"], None),
        ],
    )
    def test_takes_the_statement_from_anywhere(self, agnes, args, stdin):
        result = agnes("query", *args, "--json", stdin=stdin)

        assert json.loads(result.stdout) == [{"a": 1}]

    @pytest.mark.parametrize("given", ['{"sql"', '{"query": "SELECT 1"}'])
    def test_refuses_what_holds_no_statement(self, agnes, given):
        result = agnes("query", "--stdin", stdin=given)

        assert result.exit_code == 2
        assert "Standard input must be SQL" in result.stderr

    def test_takes_the_statement_from_a_file(self, agnes, workspace):
        (workspace / "a.sql").write_text("SELECT 'é' AS a", encoding="utf-8-sig")

        result = agnes("query", "--file", "a.sql", "--json")

        assert json.loads(result.stdout) == [{"a": "é"}]

    @pytest.mark.parametrize(
        "args",
        [[], ["SELECT 1", "--sql", "SELECT 1"], ["  "], ["--file", "none.sql"],
         ["--nonsense"], ["-x"], ["SELECT 1", "--json", "-f", "csv"],
         ["SELECT 1", "-o", "no/folder/a.csv"]],
    )  # fmt: skip
    def test_refuses_a_wrong_call(self, agnes, args):
        result = agnes("query", *args)

        assert result.exit_code == 2
        assert result.stderr.startswith("Error: ")

    @pytest.mark.parametrize(
        "sql", ["SHOW TABLES", "DESCRIBE orders", "EXPLAIN SELECT 1", "SUMMARIZE orders",
                "FROM orders", "PRAGMA version", "VALUES (1)", "SELECT 1; SELECT 2"],
    )  # fmt: skip
    def test_prints_whatever_has_rows(self, agnes, sql):
        result = agnes("query", sql, "--json")

        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)

    def test_says_so_when_there_are_no_rows_to_print(self, agnes):
        result = agnes("query", "CREATE TEMP TABLE t AS SELECT 1")

        assert result.exit_code == 0
        assert result.stdout == ""

    def test_cannot_write_to_the_local_database(self, agnes):
        result = agnes("query", "CREATE TABLE t AS SELECT 1")

        assert result.exit_code == 1
        assert "read-only" in result.stderr


class TestLimit:
    def test_cuts_and_says_so(self, agnes):
        result = agnes("query", "FROM range(2000)", "--json")

        assert len(json.loads(result.stdout)) == 1000
        assert "Only the first 1000 rows are shown" in result.stderr

    def test_that_is_just_enough_says_nothing(self, agnes):
        result = agnes("query", "FROM range(5)", "--json", "--limit", "5")

        assert len(json.loads(result.stdout)) == 5
        assert result.stderr == ""

    def test_of_zero_shows_all(self, agnes):
        result = agnes("query", "FROM range(2000)", "--json", "--limit", "0")

        assert len(json.loads(result.stdout)) == 2000

    def test_runs_the_statement_once(self, agnes):
        sql = "SELECT nextval('n') AS n FROM range(5)"

        result = agnes("query", f"CREATE TEMP SEQUENCE n; {sql}", "--json", "--limit", "2")

        assert json.loads(result.stdout) == [{"n": 1}, {"n": 2}]
        assert "Only the first 2 rows" in result.stderr

    def test_keeps_the_order(self, agnes):
        result = agnes("query", "FROM range(2000) ORDER BY 1 DESC", "-f", "csv", "--limit", "2")

        assert result.stdout == "range\n1999\n1998\n"


@pytest.mark.hostile(21)
class TestJson:
    def test_is_exact(self, agnes):
        (row,) = json.loads(agnes("query", KINDS, "--json").stdout)

        assert row == {
            "big": 9223372036854775807,
            "huge": 170141183460469231731687303715884105727,
            "money": "12345678901234567890.12",
            "at": "2026-01-02T03:04:05.678000",
            "at_utc": row["at_utc"],
            "day": "2026-01-02",
            "hour": "03:04:05",
            "nothing": None,
            "yes": True,
            "part": 0.1,
            "nan": "nan",
            "text": 'a,"b"',
            "bytes": "78",
            "list": [1, 2],
            "struct": {"k": "1.50"},
        }
        assert row["at_utc"].startswith("2026-01-0")

    def test_rounds_neither_nanoseconds_nor_months(self, agnes):
        sql = "SELECT '2026-01-02 03:04:05.123456789'::TIMESTAMP_NS AS a, INTERVAL 3 MONTH AS a"

        (row,) = json.loads(agnes("query", sql, "--json").stdout)

        assert row == {"a": "2026-01-02T03:04:05.123456789", "a_1": "3 months"}

    def test_keeps_columns_of_the_same_name_apart(self, agnes):
        result = agnes("query", "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS A", "--json")

        assert json.loads(result.stdout) == [{"a": 1, "a_2": 2, "a_1": 3, "A_3": 4}]

    def test_of_no_rows_is_an_empty_list(self, agnes):
        result = agnes("query", "SELECT 1 WHERE false", "--json")

        assert json.loads(result.stdout) == []


class TestCsv:
    def test_can_be_read_back(self, agnes):
        result = agnes("query", KINDS, "-f", "csv")

        (row,) = csv.DictReader(io.StringIO(result.stdout))
        assert row["text"] == 'a,"b"'
        assert row["big"] == "9223372036854775807"
        assert row["nothing"] == ""
        assert row["yes"] == "true"
        assert json.loads(row["struct"]) == {"k": "1.50"}


class TestOutputFile:
    @pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
    def test_gets_all_rows_in_the_format_of_its_name(self, agnes, ending, workspace):
        path = workspace / f"it's {ending}.{ending}"

        result = agnes("query", "SELECT range AS a, 1 AS a FROM range(3000)", "-o", path.name)

        assert result.exit_code == 0, result.output
        assert result.stdout == ""
        quoted = str(path).replace("'", "''")
        names = [row[0] for row in duckdb.sql(f"DESCRIBE FROM '{quoted}'").fetchall()]
        assert names[:2] == ["a", "a_1"]
        assert duckdb.sql(f"SELECT count(*), sum(a) FROM '{quoted}'").fetchone() == (3000, 4498500)

    def test_is_left_alone_when_the_query_fails(self, agnes, workspace):
        (workspace / "old.csv").write_text("precious")

        result = agnes("query", "SELECT error('no') FROM orders", "-o", "old.csv")

        assert result.exit_code == 1
        assert (workspace / "old.csv").read_text() == "precious"
        assert not list(workspace.glob(".agnes-*"))

    def test_may_be_a_pipe_for_parquet(self, workspace):
        code = "from analyst_cli.main import main; main()"
        command = [sys.executable, "-c", code, "query", "SELECT 7 AS a", "-f", "parquet"]
        piped = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

        (workspace / "piped.parquet").write_bytes(piped)
        with duckdb.connect() as connection:
            found = connection.read_parquet(str(workspace / "piped.parquet")).project("a")
            assert found.fetchall() == [(7,)]


class TestQueryThatFails:
    def test_names_what_is_near_a_missing_table(self, agnes):
        result = agnes("query", "SELECT * FROM ordres")

        assert result.exit_code == 1
        assert "Table with name ordres does not exist!" in result.stderr
        assert "hint: Did you mean orders? Run `agnes catalog`" in result.stderr
        assert "pragma" not in result.stderr

    def test_says_when_the_rows_are_on_the_server(self, agnes, server, signed_in, monkeypatch):
        monkeypatch.setenv("AGNES_SERVER", server.url)
        monkeypatch.setenv("AGNES_TOKEN", server.token)
        server.publish("events", "SELECT 1", query_mode="remote")
        agnes("pull")

        result = agnes("query", "FROM events")

        assert result.exit_code == 1
        assert "stay on the server" in result.stderr

    def test_says_when_a_table_has_no_data_yet(self, agnes, server, signed_in, monkeypatch):
        monkeypatch.setenv("AGNES_SERVER", server.url)
        monkeypatch.setenv("AGNES_TOKEN", server.token)
        server.waiting = ["Refunds"]
        agnes("pull")

        result = agnes("query", "FROM refunds")

        assert result.exit_code == 1
        assert "You may read 'refunds', but it has no data yet." in result.stderr

    def test_shows_where_the_error_is(self, agnes):
        result = agnes("query", "SELEC 1")

        assert result.exit_code == 1
        assert "syntax error" in result.stderr
        assert "Traceback" not in result.stderr

    def test_explains_a_value_that_python_does_not_know(self, agnes):
        result = agnes("query", "SELECT [INTERVAL '5000000 years'] AS a")

        assert result.exit_code == 1
        assert "hint: Cast the column to VARCHAR" in result.stderr

    def test_outside_a_workspace_says_what_to_do(self, agnes, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        result = agnes("query", "SELECT 1")

        assert result.exit_code == 1
        assert "is not an Agnes workspace" in result.stderr
        assert "agnes init" in result.stderr

    def test_before_the_first_pull_says_what_to_do(self, agnes, tmp_path, monkeypatch):
        monkeypatch.setenv("AGNES_LOCAL_DIR", str(tmp_path / "fresh"))

        result = agnes("query", "SELECT 1")

        assert result.exit_code == 1
        assert "hint: Run `agnes pull`" in result.stderr
        assert not (tmp_path / "fresh").exists()

    def test_over_a_damaged_database_says_what_to_do(self, agnes, workspace):
        (workspace / "user" / "duckdb" / "analytics.duckdb").write_bytes(b"x" * 100_000)

        result = agnes("query", "SELECT 1")

        assert result.exit_code == 1
        assert "hint: Run `agnes pull`" in result.stderr


@pytest.mark.hostile(46)
class TestOwnTables:
    @pytest.fixture
    def own(self, workspace):
        path = workspace / "user" / "duckdb" / "user.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE notes AS SELECT 1 AS id, 'mine' AS note")
        return path

    @pytest.mark.parametrize("name", ["user", '"user"', "USER"])
    def test_are_attached_beside_the_pulled_ones(self, agnes, own, name):
        result = agnes("query", f"FROM orders JOIN {name}.notes USING (id)", "--json")

        assert json.loads(result.stdout) == [{"id": 1, "amount": 10, "note": "mine"}]

    def test_are_read_only(self, agnes, own):
        result = agnes("query", 'DELETE FROM "user".notes')

        assert result.exit_code == 1

    def test_are_untouched_by_a_pull(self, agnes, own, server, monkeypatch):
        before = own.read_bytes()
        monkeypatch.setenv("AGNES_SERVER", server.url)
        monkeypatch.setenv("AGNES_TOKEN", server.token)
        server.publish("orders", "SELECT 1 AS id")

        assert agnes("pull").exit_code == 0

        assert own.read_bytes() == before

    def test_that_another_program_is_writing_are_left_out_with_a_notice(self, spawn, own):
        code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(own)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        holder.stdout.readline()

        output, errors = spawn("query", "SELECT 1 AS a", "--json").communicate(timeout=30)

        holder.communicate("\n")
        assert json.loads(output) == [{"a": 1}]
        assert "Your own tables are left out" in errors
