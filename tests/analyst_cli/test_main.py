"""The command line as a whole: help, start-up time, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from analyst_cli import VERSION
from analyst_cli.errors import CliError
from analyst_cli.main import COMMANDS, root

PROJECT = Path(__file__).parents[2]
LOADED = """
import sys
from analyst_cli.main import main
try:
    main()
finally:
    print("LOADED", *sorted(sys.modules), file=sys.stderr)
"""


def modules(*args: str) -> set[str]:
    """Run a command that succeeds; return the names of all modules it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.rpartition("LOADED")[2].split())
    assert "analyst_cli.main" in loaded
    return loaded


def every_command() -> list[tuple[str, click.Command]]:
    """Return all commands, those of groups too, with their full names."""
    found = []
    context = click.Context(root, info_name="agnes")
    for name in COMMANDS:
        command = root.get_command(context, name)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {each}", sub) for each, sub in command.commands.items()]
    return found


class TestVersion:
    def test_is_that_of_the_project(self):
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

        assert project["version"] == VERSION

    @pytest.mark.parametrize("option", ["--version", "-V"])
    def test_is_printed(self, agnes, option):
        assert agnes(option).stdout == f"agnes {VERSION}\n"


SLOW = {"requests", "rich", "duckdb", "urllib3", "importlib.metadata", "filelock", "yaml"}


class TestStartUp:
    def test_of_version_and_help_load_no_command(self):
        for option in ("--version", "--help"):
            loaded = modules(option)

            assert not loaded & (SLOW | {"http.client", "ssl", "platformdirs"})
            assert not [name for name in loaded if name.startswith("analyst_cli.commands")]

    @pytest.mark.usefixtures("workspace", "signed_in")
    def test_of_a_pull_without_news_loads_what_it_needs(self, agnes, server):
        agnes("pull")
        server.seen.clear()

        loaded = modules("pull")

        assert [seen.status for seen in server.seen] == [304]
        assert not loaded & SLOW
        assert not loaded & {"analyst_cli.pull.work", "analyst_cli.pull.state"}

    @pytest.mark.usefixtures("workspace", "signed_in")
    def test_of_a_query_loads_duckdb_and_no_more(self, agnes, server):
        agnes("pull")
        server.seen.clear()

        loaded = modules("query", "SELECT count(*) FROM orders")

        assert server.seen == []
        assert "duckdb" in loaded
        of_duckdb = {"duckdb", "importlib.metadata"}
        idle = SLOW - of_duckdb | {"http.client", "ssl", "numpy", "pandas", "pyarrow"}
        assert loaded & idle == set()

    def test_imports_nothing_of_the_server(self):
        loaded = modules("--help")
        for name in COMMANDS:
            loaded |= modules(name, "--help")

        servers = {"django", "agnes_site", "access", "catalog", "extracts", "pyarrow", "yaml"}
        assert not {name.partition(".")[0] for name in loaded} & servers


class TestHelp:
    def test_is_printed_without_arguments(self, agnes):
        result = agnes()

        assert result.exit_code == 0
        assert result.stdout == agnes("--help").stdout
        assert "pull        Download what has changed on the server." in result.stdout

    @pytest.mark.parametrize(("name", "command"), every_command(), ids=lambda v: str(v)[:30])
    def test_starts_with_a_sentence_and_has_an_example(self, name, command):
        first = command.help.splitlines()[0]

        assert first.endswith(".")
        assert first[0].isupper()
        assert "Examples:" in command.help
        assert f"agnes {name.replace('whoami', 'status')}" in command.help

    def test_sentence_is_the_one_in_the_list(self):
        for name, command in every_command():
            if " " not in name:
                assert COMMANDS[name][1] == command.help.splitlines()[0]


class TestErrors:
    def test_name_the_command_that_was_meant(self, agnes):
        result = agnes("pul")

        assert result.exit_code == 2
        assert "Did you mean `agnes pull`?" in result.stderr

    def test_do_not_steer_the_terminal(self):
        error = CliError("bad \x1b]0;title\x07\nname", hint="\x1b[2J")

        assert error.message == "bad \\x1b]0;title\\x07\nname"
        assert error.hint == "\\x1b[2J"

    def test_of_usage_exit_with_2(self, agnes):
        assert agnes("pull", "--nonsense").exit_code == 2

    @pytest.mark.usefixtures("workspace", "signed_in")
    def test_that_nobody_expected_leave_their_traceback_in_a_file(self, agnes, config, monkeypatch):
        def explode(*args, **options):
            raise ZeroDivisionError("surprise")

        monkeypatch.setattr("analyst_cli.pull.run.pull", explode)

        result = agnes("pull")

        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert str(config / "last-error.log") in result.stderr
        assert "ZeroDivisionError: surprise" in (config / "last-error.log").read_text()


class TestCatalog:
    pytestmark = pytest.mark.usefixtures("signed_in")

    def test_lists_the_tables(self, agnes):
        result = agnes("catalog")

        lines = result.stdout.splitlines()
        assert lines[0].split() == [
            "NAME", "SOURCE", "MODE", "ROWS", "SIZE", "UPDATED", "DESCRIPTION",
        ]  # fmt: skip
        assert lines[2].split()[:6] == ["orders", "shop", "local", "3", "1.0", "kB"]
        assert "All orders." in lines[2]

    def test_filters_by_source(self, agnes):
        assert json.loads(agnes("catalog", "--source", "shop", "--json").stdout)["count"] == 2
        assert json.loads(agnes("catalog", "--source", "crm", "--json").stdout) == {
            "tables": [], "count": 0,
        }  # fmt: skip


class TestStatus:
    pytestmark = pytest.mark.usefixtures("signed_in")

    def test_of_a_fresh_workspace(self, agnes, workspace):
        result = agnes("status", "--json")

        report = json.loads(result.stdout)
        assert result.exit_code == 0
        assert (report["initialized"], report["duckdb_exists"]) == (True, False)
        assert report["last_synced"] is None

    def test_of_a_pulled_workspace(self, agnes, workspace, server):
        agnes("pull")
        server.seen.clear()

        result = agnes("status", "--json")

        report = json.loads(result.stdout)
        assert result.exit_code == 0, result.output
        assert (report["parquet_tables"], report["rows"]) == (2, 5)
        assert report["bytes"] == sum(len(t.parts[0].content) for t in server.tables.values())
        assert report["server"] == server.url
        assert report["last_synced"].startswith("20")
        assert {table["state"] for table in report["tables"]} == {"ok"}
        assert server.seen == []
        assert "orders" in agnes("status").stdout

    def test_names_what_is_missing_or_damaged(self, agnes, workspace):
        agnes("pull")
        parquet = workspace / "server" / "parquet"
        (parquet / "orders.parquet").unlink()
        (parquet / "customers.parquet").write_bytes(b"PAR1")
        (workspace / "user" / "duckdb" / "analytics.duckdb").unlink()

        result = agnes("status")

        assert result.exit_code == 1
        assert "The file of 'orders' is missing." in result.stderr
        assert "The file of 'customers' is damaged." in result.stderr
        assert "The local database is missing." in result.stderr

    def test_outside_a_workspace_creates_nothing(self, agnes, tmp_path, monkeypatch):
        empty = tmp_path / "empty"
        empty.mkdir()
        monkeypatch.chdir(empty)

        assert agnes("status").exit_code == 1
        assert agnes("pull").exit_code == 1
        assert list(empty.iterdir()) == []


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_a_script(self, agnes, shell):
        result = agnes("completion", shell)

        assert result.exit_code == 0
        assert "_AGNES_COMPLETE" in result.stdout
