"""`manage.py`: what an operator can mend is told in a line, without a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from agnes_site.core.config import BASE_DIR
from agnes_site.web.management.commands import demo
from tests import measured

Manage = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Manage:
    """Run a command that cannot work and return what it says."""

    def run(*words: str, **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=BASE_DIR, capture_output=True, text=True, check=False,
            env={
                "PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"),
                **measured.ENVIRONMENT, **settings,
            },
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("Error: ")
        return done.stderr

    return run


class TestDemo:
    def test_names_a_port_that_is_taken(self, refused):
        with socket.create_server(("127.0.0.1", 0)) as other:
            bind = f"127.0.0.1:{other.getsockname()[1]}"

            told = refused("demo", "--once", "--scale", "0.01", AGNES_BIND=bind)

        assert bind in told
        assert "hint: " in told

    @pytest.mark.parametrize("free", [0, 300_000])
    def test_says_that_the_disk_is_full(self, refused, small_disk, free):
        (small_disk / "other").write_bytes(bytes(1024**2 - 8192 - free))

        told = refused("demo", "--once", "--scale", "0.01", DATA_DIR=str(small_disk / "data"))

        assert "no space left" in told

    def test_leaves_another_installation_alone(self, refused, tmp_path):
        state = tmp_path / "data" / "state"
        state.mkdir(parents=True)
        (state / "agnes.sqlite3").touch()

        assert "not the demo" in refused("demo", "--once")

    def test_stops_without_a_traceback_in_the_middle_of_a_query(self, monkeypatch, capsys):
        def interrupted(*args: object, **options: object) -> None:
            raise RuntimeError("Query interrupted") from KeyboardInterrupt()

        monkeypatch.setattr(demo.Command, "_run", interrupted)
        monkeypatch.setattr(demo.signal, "signal", lambda *args: None)

        with pytest.raises(SystemExit) as stopped:
            call_command("demo", "--once")

        assert stopped.value.code == 130
        assert "Stopped." in capsys.readouterr().out


class TestUp:
    def test_writes_to_an_output_that_cannot_be_opened_again(self, tmp_path):
        script = (
            "from agnes_site.core.supervisor import share_output; share_output();"
            "open('/dev/fd/1', 'w').write('told')"
        )
        ours, theirs = socket.socketpair()
        with ours, theirs:
            environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
            environ |= measured.ENVIRONMENT
            command = [sys.executable, "-c", script]
            subprocess.run(command, cwd=BASE_DIR, stdout=theirs, check=True, env=environ)

            ours.settimeout(10)
            assert ours.recv(100) == b"told"


class TestSettings:
    @pytest.mark.parametrize("bind", ["8000", "127.0.0.1", "localhost:http", "127.0.0.1:99999"])
    def test_name_an_address_that_cannot_be_used(self, refused, bind):
        told = refused("up", AGNES_BIND=bind)

        assert bind in told or "AGNES_BIND" in told

    @pytest.mark.parametrize(
        "url", ["agnes:hunter2@host/db", "postgres://agnes:hunt#er2@host:hunter2/db"]
    )
    def test_do_not_show_the_password_of_a_database(self, refused, url):
        told = refused("config", DATABASE_URL=url)

        assert "DATABASE_URL" in told
        assert "hunt" not in told

    @pytest.mark.parametrize("url", ["sqlite:///agnes.db", "mysql://agnes:hunt@host/db"])
    def test_refuse_a_database_of_another_kind(self, refused, url):
        assert "DATABASE_URL" in refused("migrate", DATABASE_URL=url)

    def test_name_a_folder_that_cannot_be_made(self, refused):
        assert "nowhere" in refused("config", DATA_DIR="/proc/nowhere")
