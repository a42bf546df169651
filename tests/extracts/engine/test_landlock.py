"""Landlock is tried in forked children: a restriction cannot be taken back."""

import os
import socket
from pathlib import Path

import pytest

from extracts.engine import landlock
from extracts.engine.landlock import LandlockMissingError, abi, restrict

needs_landlock = pytest.mark.skipif(abi() == 0, reason="this kernel has no Landlock")


@pytest.fixture
def folders(tmp_path):
    """Three folders with one file each: to read, to write, and out of bounds."""
    for name in ("readable", "writable", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


def in_child(action):
    """Run ``action`` in a forked child and return what it returned, or its error's name."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(action())
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent looks at it
            answer = type(error).__name__
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 4096).decode()
    os.close(reader)
    os.waitpid(pid, 0)
    return answer


def confined(folders: Path, action, **options):
    def confine_and_act():
        restrict(read=[folders / "readable"], write=[folders / "writable"], **options)
        return action()

    return in_child(confine_and_act)


@needs_landlock
class TestRestrict:
    def test_returns_the_version_in_force(self, folders):
        answer = in_child(lambda: restrict(read=[folders], write=[]))

        assert answer == str(abi())

    def test_lets_read_what_may_be_read(self, folders):
        assert confined(folders, (folders / "readable/file").read_text) == "readable"

    def test_refuses_to_write_what_may_only_be_read(self, folders):
        answer = confined(folders, lambda: (folders / "readable/file").write_text("x"))

        assert answer == "PermissionError"
        assert (folders / "readable/file").read_text() == "readable"

    def test_refuses_to_read_anything_else(self, folders):
        assert confined(folders, (folders / "outside/file").read_text) == "PermissionError"
        assert confined(folders, lambda: os.listdir("/")) == "PermissionError"  # noqa: PTH208 (the bare call)

    @pytest.mark.hostile(20)
    def test_refuses_a_symlink_that_leads_out(self, folders):
        link = folders / "readable/link"
        link.symlink_to(folders / "outside/file")

        assert confined(folders, link.read_text) == "PermissionError"

    def test_lets_make_replace_and_remove_files_where_it_may_write(self, folders):
        def work():
            (folders / "writable/new").write_text("new")
            (folders / "writable/new").rename(folders / "writable/file")
            (folders / "writable/folder").mkdir()
            (folders / "writable/folder").rmdir()
            return (folders / "writable/file").read_text()

        assert confined(folders, work) == "new"

    def test_accepts_single_files(self, folders):
        def work():
            restrict(read=[folders / "readable/file"], write=[folders / "writable/file"])
            (folders / "writable/file").write_text("changed")
            return (folders / "readable/file").read_text()

        assert in_child(work) == "readable"
        assert (folders / "writable/file").read_text() == "changed"

    def test_only_ever_narrows(self, folders):
        def work():
            restrict(read=[folders / "readable"], write=[])
            restrict(read=[folders], write=[folders])
            return (folders / "outside/file").read_text()

        assert in_child(work) == "PermissionError"

    def test_names_a_path_that_does_not_exist(self, folders):
        answer = in_child(lambda: restrict(read=[folders / "nothing"], write=[]))

        assert answer == "FileNotFoundError"

    @pytest.mark.skipif(abi() < 4, reason="this kernel's Landlock knows no network")
    def test_refuses_the_network_only_on_request(self, folders):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()

            def connect():
                with socket.socket() as client:
                    client.connect(address)
                    return "connected"

            assert confined(folders, connect) == "connected"
            assert confined(folders, connect, network=False) == "PermissionError"


class TestWithoutLandlock:
    def test_says_that_the_kernel_has_none(self, folders):
        def answer_as_an_old_kernel():
            # A number that no kernel gives to a system call: ENOSYS, as before Linux 5.13.
            landlock._CREATE_RULESET = 100_000
            assert abi() == 0
            restrict(read=[folders], write=[])

        assert in_child(answer_as_an_old_kernel) == LandlockMissingError.__name__
