"""Files are read below the configured folders, and nothing that only looks as if it were."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from catalog.connectors import Reach
from extracts.connectors.reach.paths import (
    NotAFileError,
    PathNotAllowedError,
    allowed_path,
    opened,
)


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "orders.csv").write_text("id\n1\n")
    return folder


@pytest.mark.hostile(20)
class TestAllowedPath:
    def test_follows_links_that_stay_below_a_root(self, root):
        (root / "latest.csv").symlink_to("orders.csv")

        assert allowed_path(root / "latest.csv", Reach(roots=(root,))) == root / "orders.csv"

    def test_takes_a_root_that_is_a_link(self, root, tmp_path):
        (tmp_path / "link").symlink_to(root)

        found = allowed_path(tmp_path / "link" / "orders.csv", Reach(roots=(tmp_path / "link",)))

        assert found == root / "orders.csv"

    def test_says_the_setting_and_the_folders_that_are_open(self, root):
        with pytest.raises(PathNotAllowedError, match="not where sources may read") as caught:
            allowed_path(Path("/etc/passwd"), Reach(roots=(root,)))

        assert "AGNES_FILES_ROOTS" in caught.value.hint
        assert str(root) in caught.value.hint

    @pytest.mark.parametrize(
        "path",
        [
            "../outside.csv", "link.csv", "linked/outside.csv", ".ssh/id.csv", "loop.csv",
            "../root2/a.csv", "nul\0.csv",
        ],
    )  # fmt: skip
    def test_refuses_what_leads_out_or_is_hidden(self, root, tmp_path, path):
        (tmp_path / "outside.csv").write_text("secret\n")
        (tmp_path / "root2").mkdir()
        (root / "link.csv").symlink_to(tmp_path / "outside.csv")
        (root / "linked").symlink_to(tmp_path)
        (root / "loop.csv").symlink_to("loop.csv")

        with pytest.raises(PathNotAllowedError):
            allowed_path(root / path, Reach(roots=(root,)))

    @pytest.mark.parametrize(
        "path", ["/proc/self/environ", "/sys/kernel", "/dev/null", "/dev/fd/0"]
    )
    def test_refuses_what_belongs_to_the_system_even_below_a_root(self, path):
        with pytest.raises(PathNotAllowedError):
            allowed_path(Path(path), Reach(roots=(Path("/"),)))

    def test_keeps_private_folders_closed_but_for_a_root_inside(self, tmp_path):
        reach = Reach(roots=(tmp_path, tmp_path / "data" / "files"), private=(tmp_path / "data",))

        allowed_path(tmp_path / "other.csv", reach)
        allowed_path(tmp_path / "data" / "files" / "a.csv", reach)
        with pytest.raises(PathNotAllowedError):
            allowed_path(tmp_path / "data" / "state" / "agnes.sqlite3", reach)

    def test_allows_nothing_by_default(self, root):
        with pytest.raises(PathNotAllowedError):
            allowed_path(root / "orders.csv", Reach())


@pytest.mark.hostile(20)
class TestOpened:
    def test_gives_the_file_whatever_happens_to_its_name(self, root):
        with opened(root / "orders.csv", Reach(roots=(root,))) as descriptor:
            (root / "orders.csv").rename(root / "gone.csv")

            assert Path(f"/proc/self/fd/{descriptor}").read_text() == "id\n1\n"

    def test_refuses_what_is_no_file_without_waiting_for_it(self, root):
        os.mkfifo(root / "pipe.csv")
        (root / "folder.csv").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(root / "socket.csv"))

            for name in ("pipe.csv", "folder.csv", "socket.csv"):
                with (
                    pytest.raises(NotAFileError),
                    opened(root / name, Reach(roots=(root,))),
                ):
                    pass
