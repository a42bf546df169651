"""From an empty folder to a first query."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from analyst_cli import failpoints
from tests.analyst_cli.agnes_server import TOKEN, WELCOME


@pytest.fixture
def folder(tmp_path, config, monkeypatch):
    """An empty folder, the current one."""
    path = tmp_path / "analysis"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def init(agnes, server, folder):
    """Run `agnes init` with a piped token."""
    return lambda *more: agnes("init", "--server", server.url, "--token-stdin", *more, stdin=TOKEN)


class TestInit:
    def test_makes_a_workspace_that_answers(self, init, agnes, folder, server, config):
        result = init()

        assert result.exit_code == 0, result.output
        assert (folder / "CLAUDE.md").read_text() == WELCOME
        assert "user.duckdb" in (folder / "AGNES_WORKSPACE.md").read_text()
        sentinel = json.loads((folder / ".claude" / "init-complete").read_text())
        assert sentinel["server_url"] == server.url
        assert sentinel["agnes_version"] == "1.0.0"
        assert json.loads((config / "config.json").read_text()) == {"server": server.url}
        answer = agnes("query", "SELECT sum(amount)::INT AS s FROM orders", "--json")
        assert json.loads(answer.stdout) == [{"s": 30}]

    def test_without_tables_tells_whom_to_ask(self, init, agnes, server):
        server.tables.clear()

        result = init()

        assert result.exit_code == 0
        assert "Next: Ask an administrator to grant" in result.stderr
        assert "SHOW TABLES" not in result.stderr
        assert "Ask an administrator to grant" in agnes("catalog").stderr

    @pytest.mark.hostile(49)
    def test_stores_the_token_for_the_user_alone(self, init, config, server):
        init()

        assert (config / "token.json").stat().st_mode & 0o777 == 0o600
        assert json.loads((config / "token.json").read_text()) == {
            "access_token": TOKEN,
            "email": "ana@example.com",
            "server": server.url,
        }

    @pytest.mark.parametrize("way", ["environment", "interrupted"])
    def test_shows_the_token_to_no_other_server(self, init, agnes, config, monkeypatch, way):
        init()
        with socket.create_server(("127.0.0.1", 0)) as other:
            elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}"
            if way == "environment":
                monkeypatch.setenv("AGNES_SERVER", elsewhere)
            else:  # a sign-in to another server that stored its address and was then killed
                (config / "config.json").write_text(json.dumps({"server": elsewhere}))

            result = agnes("pull")

        assert result.exit_code == 4
        assert f"You are not signed in to {elsewhere}." in result.stderr

    def test_accepts_a_token_as_an_argument_and_warns(self, agnes, server, folder):
        result = agnes("init", "--server-url", server.url, "--token", TOKEN)

        assert result.exit_code == 0, result.output
        assert "Warning: a token on the command line" in result.stderr
        assert TOKEN not in result.output

    def test_takes_another_folder(self, init, tmp_path, folder):
        result = init("--workspace", str(tmp_path / "new" / "place"))

        assert result.exit_code == 0
        assert (tmp_path / "new" / "place" / "CLAUDE.md").exists()
        assert list(folder.iterdir()) == []

    def test_twice_is_refused(self, init, server):
        init()
        server.seen.clear()

        result = init()

        assert result.exit_code == 1
        assert "is a workspace already" in result.stderr
        assert server.seen == []

    def test_by_force_keeps_what_was_there(self, init, folder):
        init()
        for text in ("mine", "mine too"):
            (folder / "CLAUDE.md").write_text(text)
            assert init("--force").exit_code == 0

        kept = {path.read_text() for path in folder.glob("CLAUDE.md.bak.*")}
        assert kept == {"mine", "mine too"}
        assert (folder / "CLAUDE.md").read_text() == WELCOME

    def test_with_a_refused_token_leaves_nothing(self, agnes, server, folder, config):
        result = agnes("init", "--server", server.url, "--token-stdin", stdin="agn_pat_wrong")

        assert result.exit_code == 4
        assert list(folder.iterdir()) == []
        assert not config.exists()

    def test_without_a_server_leaves_nothing(self, agnes, folder, config):
        result = agnes("init", "--server", "http://127.0.0.1:9", "--token-stdin", stdin=TOKEN)

        assert result.exit_code == 1
        assert "Cannot reach" in result.stderr
        assert not config.exists()

    @pytest.mark.parametrize("address", ["ftp://x", "agnes.example.com", "http://", "http://u:p@x",
                                         "http://a b", "http://x:99999999"])  # fmt: skip
    def test_refuses_what_is_no_address(self, agnes, folder, address):
        result = agnes("init", "--server", address, "--token-stdin", stdin=TOKEN)

        assert result.exit_code == 2

    @pytest.mark.parametrize("token", ["", "two\nlines", "é", "a b"])
    def test_refuses_what_is_no_token(self, agnes, server, folder, token):
        result = agnes("init", "--server", server.url, "--token-stdin", stdin=token)

        assert result.exit_code == 2
        assert server.seen == []

    def test_fails_when_a_table_does_but_completes_the_workspace(self, init, server, folder):
        server.publish("../evil", "SELECT 1")

        result = init()

        assert result.exit_code == 1
        assert (folder / ".claude" / "init-complete").exists()

    def test_can_be_repeated_after_the_manifest_failed(self, init, server, folder):
        server.manifest_status = 500
        failed = init()
        server.manifest_status = 200

        result = init()

        assert failed.exit_code == 5
        assert result.exit_code == 0
        assert list(folder.glob("*.bak.*")) == []

    @pytest.mark.parametrize("name", [n for n in failpoints.NAMES if n.startswith("init.")])
    @pytest.mark.hostile(40)
    def test_that_is_killed_can_be_repeated(self, agnes, server, folder, spawn, name):
        args = ["init", "--server", server.url, "--token", TOKEN]
        folder.mkdir(exist_ok=True)
        (folder / "CLAUDE.md").write_text("mine")
        killed = spawn(*args, AGNES_FAILPOINT=name)
        killed.communicate(timeout=30)

        again = agnes(*args)

        assert killed.returncode == -signal.SIGKILL
        assert again.exit_code == (1 if name == "init.completed" else 0), again.output
        assert (folder / "CLAUDE.md").read_text() == WELCOME
        assert [copy.read_text() for copy in folder.glob("*.bak.*")] == ["mine"]
        assert agnes("query", "FROM orders").exit_code == 0


class TestAuth:
    def test_login_verifies_before_it_stores(self, agnes, server, config):
        refused = agnes("auth", "login", "--server", server.url, stdin="agn_pat_wrong")
        assert refused.exit_code == 4
        assert not config.exists()

        result = agnes("auth", "login", "--server", server.url, stdin=f"{TOKEN}\n")

        assert result.exit_code == 0, result.output
        assert f"Signed in to {server.url} as ana@example.com." in result.stderr
        assert TOKEN not in result.output

    @pytest.mark.parametrize("command", ["status", "whoami"])
    def test_status_names_server_and_account(self, agnes, server, config, command):
        agnes("auth", "login", "--server", server.url, stdin=TOKEN)

        result = agnes("auth", command, "--json")

        assert json.loads(result.stdout) == {
            "server": server.url, "email": "ana@example.com", "signed_in": True,
        }  # fmt: skip

    def test_status_of_a_revoked_token_exits_with_4(self, agnes, server, config):
        agnes("auth", "login", "--server", server.url, stdin=TOKEN)
        server.token = "agn_pat_new"

        assert agnes("auth", "status").exit_code == 4

    def test_logout_forgets_the_token_and_keeps_the_server(self, agnes, server, config):
        agnes("auth", "login", "--server", server.url, stdin=TOKEN)

        assert agnes("auth", "logout").exit_code == 0

        assert not (config / "token.json").exists()
        result = agnes("catalog")
        assert result.exit_code == 4
        assert f"You are not signed in to {server.url}." in result.stderr

    def test_environment_wins_over_files(self, agnes, server, config, monkeypatch):
        agnes("auth", "login", "--server", server.url, stdin=TOKEN)
        monkeypatch.setenv("AGNES_TOKEN", "agn_pat_wrong")

        assert agnes("catalog").exit_code == 4

    def test_without_a_server_says_what_to_do(self, agnes, config):
        result = agnes("auth", "status")

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: No server is configured.\nhint: Run `agnes init")
