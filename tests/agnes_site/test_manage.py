"""`manage.py`: what an operator can mend is told in a line, without a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agnes_site.core.config import BASE_DIR

Manage = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Manage:
    """Run a command that cannot work and return what it says."""

    def run(*words: str, **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=BASE_DIR, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), **settings},
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("Error: ")
        return done.stderr

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


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

    def test_name_a_folder_that_cannot_be_made(self, refused):
        assert "nowhere" in refused("config", DATA_DIR="/proc/nowhere")
