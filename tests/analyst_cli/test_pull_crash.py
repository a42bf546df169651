"""A pull that is killed, interrupted, or not alone."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Iterator

import duckdb
import pytest

from analyst_cli import failpoints
from tests.analyst_cli import agnes_server
from tests.analyst_cli.snapshots import snapshot

pytestmark = pytest.mark.usefixtures("signed_in", "workspace")

BEFORE = {"orders": [(3,)], "customers": [(2,)], "gone": [(1,)]}
AFTER = {"orders": [(5,)], "customers": [(2,)], "issues": [(2,)], "old_orders": [(5,)]}


def wait_for(condition, *, seconds: float = 20) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def held_back(server) -> Iterator[threading.Event]:
    """Hold the next download of a table back until the test lets it go on."""
    event = threading.Event()
    server.fail("orders", agnes_server.held(event))
    yield event
    event.set()


def contents(rows) -> dict[str, list[tuple]]:
    """Return each view with its number of rows."""
    return {name: rows(f"SELECT count(*) FROM {name}") for (name,) in rows("SHOW TABLES")}


def record(workspace) -> dict:
    """Return the record of a workspace without what differs from pull to pull."""
    state = json.loads((workspace / ".agnes" / "state.json").read_text())
    for name in ("pulled_at", "generation", "database_stamp"):
        del state[name]
    for file in state["files"].values():
        del file["mtime_ns"]
    return state


@pytest.fixture
def first(signed_in, workspace, agnes, server):
    """A pulled workspace, and a server that has changed in every way since."""
    server.publish("gone", "SELECT 1 AS id")
    agnes("pull")
    server.publish("orders", "SELECT i AS id FROM range(5) t(i)", aliases=("old_orders",))
    server.publish("issues", "SELECT 1 AS id", "SELECT 2 AS id", keys=("a", "b"))
    del server.tables["gone"]


@pytest.mark.hostile(40)
class TestPullThatIsKilled:
    @pytest.mark.parametrize(
        "name",
        [n for n in failpoints.NAMES if n.startswith("pull.") and n != "pull.foreign_kept"],
    )
    @pytest.mark.usefixtures("first")
    def test_leaves_one_generation_and_is_finished_by_the_next(
        self, agnes, rows, server, spawn, workspace, name
    ):
        killed = spawn("pull", AGNES_FAILPOINT=name)
        killed.communicate(timeout=30)
        between = contents(rows)
        healed = agnes("pull")

        assert killed.returncode == -signal.SIGKILL
        assert between in (BEFORE, AFTER)
        assert healed.exit_code == 0, healed.output
        assert contents(rows) == AFTER
        assert snapshot(workspace) == {
            "orders.parquet": server.tables["orders"].parts[0].content,
            "customers.parquet": server.tables["customers"].parts[0].content,
            "issues/0-a.parquet": server.tables["issues"].parts[0].content,
            "issues/1-b.parquet": server.tables["issues"].parts[1].content,
        }
        self._is_like_undisturbed(agnes, workspace)

    @pytest.mark.usefixtures("first")
    def test_keeps_tables_of_the_user_once_and_the_database_in_place(
        self, agnes, rows, spawn, workspace
    ):
        folder = workspace / "user" / "duckdb"
        with duckdb.connect(str(folder / "analytics.duckdb")) as connection:
            connection.execute("CREATE TABLE mine AS SELECT 1 AS id")

        spawn("pull", AGNES_FAILPOINT="pull.foreign_kept").communicate(timeout=30)
        between = contents(rows)
        healed = agnes("pull")

        assert between == {**BEFORE, "mine": [(1,)]}
        (kept,) = folder.glob("analytics-*.duckdb")
        assert kept.name in healed.stderr
        with duckdb.connect(str(kept), read_only=True) as connection:
            assert connection.execute("FROM mine").fetchall() == [(1,)]
        assert contents(rows) == AFTER

    @pytest.mark.parametrize(
        "name",
        ["pull.part_verified", "pull.file_replaced", "pull.database_switched", "pull.pruned"],
    )
    def test_is_healed_when_it_was_the_first(self, agnes, rows, spawn, workspace, name):
        spawn("pull", AGNES_FAILPOINT=name).communicate(timeout=30)

        result = agnes("pull")

        assert result.exit_code == 0
        assert contents(rows) == {"orders": [(3,)], "customers": [(2,)]}
        self._is_like_undisturbed(agnes, workspace)

    def test_leaves_nothing_of_a_table_that_is_revoked_then(
        self, agnes, rows, server, spawn, workspace
    ):
        agnes("pull")
        server.publish("issues", "SELECT 1 AS id", "SELECT 2 AS id", keys=("a", "b"))
        spawn("pull", AGNES_FAILPOINT="pull.file_replaced").communicate(timeout=30)
        del server.tables["issues"]

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert contents(rows) == {"orders": [(3,)], "customers": [(2,)]}
        assert set(snapshot(workspace)) == {"orders.parquet", "customers.parquet"}

    def _is_like_undisturbed(self, agnes, workspace):
        """Compare with a workspace that was pulled in one go; nothing is left to do or to sweep."""
        again = json.loads(agnes("pull", "--json").stdout)
        fresh = workspace.parent / "fresh"
        (fresh / ".agnes").mkdir(parents=True)
        (fresh / ".agnes" / "pull.lock").touch()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AGNES_LOCAL_DIR", str(fresh))
            agnes("pull")
        assert (again["tables_updated"], again["not_modified"]) == (0, True)
        assert record(workspace) | {"root": ""} == record(fresh) | {"root": ""}
        assert snapshot(workspace) == snapshot(fresh)
        assert len(list((workspace / "server" / ".generations").iterdir())) == 1
        assert not list((workspace / "user" / "duckdb").glob("*.new*"))


@pytest.mark.hostile(42)
class TestTwoPulls:
    def test_take_turns(self, rows, server, spawn, held_back):
        one = spawn("pull")
        wait_for(server.downloads)

        two = spawn("pull")
        waits = two.stderr.readline()
        held_back.set()
        outputs = [process.communicate(timeout=60) for process in (one, two)]

        assert "Waiting for another `agnes pull`" in waits
        assert [one.returncode, two.returncode] == [0, 0], outputs
        assert "Up to date: 2 files" in outputs[1][1]
        assert contents(rows) == {"orders": [(3,)], "customers": [(2,)]}
        assert len(server.downloads()) == 2

    def test_do_not_wait_for_ever(self, server, spawn, held_back):
        one = spawn("pull")
        wait_for(server.downloads)

        two = spawn("pull", AGNES_LOCK_TIMEOUT="0")
        _, errors = two.communicate(timeout=60)

        assert one.poll() is None
        assert two.returncode == 1
        assert "Error: Another `agnes pull` has held this workspace" in errors


@pytest.mark.hostile(40)
class TestPullThatIsInterrupted:
    def test_ends_at_once_and_says_so(self, agnes, rows, server, spawn, held_back):
        process = spawn("pull")
        wait_for(server.downloads)

        process.send_signal(signal.SIGINT)
        # It does not wait for the download, which nobody lets go on.
        output, errors = process.communicate(timeout=60)
        held_back.set()

        assert process.returncode == 130
        assert errors.endswith("Interrupted.\n")
        assert "Traceback" not in errors
        assert output == ""
        assert agnes("pull").exit_code == 0
        assert contents(rows) == {"orders": [(3,)], "customers": [(2,)]}


@pytest.mark.hostile(42)
class TestQueryDuringPulls:
    def test_sees_one_generation_at_a_time(self, agnes, server, spawn):
        def publish(number):
            for name in ("orders", "customers"):
                server.publish(name, f"SELECT {number} AS generation")

        publish(0)
        agnes("pull")
        sql = "SELECT o.generation AS o, c.generation AS c FROM orders o, customers c"
        seen = []
        for number in range(1, 4):
            publish(number)
            process = spawn("pull")
            while process.poll() is None:
                result = agnes("query", sql, "--json")
                assert result.exit_code == 0, result.output
                seen += json.loads(result.stdout)

        assert all(row["o"] == row["c"] for row in seen)
        assert {row["o"] for row in seen} >= {0, 1, 2}


class TestPullOnATerminal:
    def test_draws_bars(self, server, workspace):
        output, code = run_on_terminal("pull")

        assert code == 0
        assert "orders.parquet" in output
        assert "Updated 2 of 2 files" in output


class TestTokenOnATerminal:
    def test_is_typed_without_being_shown(self, server, config, monkeypatch):
        monkeypatch.delenv("AGNES_TOKEN")

        output, code = run_on_terminal("auth", "login", typed=f"{server.token}\n")

        assert code == 0, output
        assert "Signed in to" in output
        assert server.token not in output
        assert server.token in (config / "token.json").read_text()


def run_on_terminal(*args: str, typed: str = "") -> tuple[str, int]:
    """Run a command on a pseudo-terminal; return what it wrote and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        code = "from analyst_cli.main import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, *args])
    output = b""
    while True:
        if typed and b"Token: " in output:
            os.write(terminal, typed.encode())
            typed = ""
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # the other side has closed it
            break
        if not chunk:
            break
        output += chunk
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return output.decode(), os.waitstatus_to_exitcode(status)
