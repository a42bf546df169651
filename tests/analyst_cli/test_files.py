"""Files that survive a power cut, and failed writes in plain words."""

from __future__ import annotations

import errno

import pytest

from analyst_cli import files


class TestExplain:
    @pytest.mark.parametrize(
        ("number", "code"),
        [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "not_writable"),
         (errno.EACCES, "not_writable"), (errno.ENOTDIR, "file_error")],
    )  # fmt: skip
    def test_names_the_file_and_what_to_do(self, number, code):
        error = files.explain(OSError(number, "text", "some/file"))

        assert error.code == code
        assert "some/file" in error.message
        assert error.exit_code == 1


class TestWriteText:
    def test_leaves_the_old_content_and_nothing_else_when_it_fails(self, tmp_path):
        path = tmp_path / "file"
        files.write_text(path, "old")

        with pytest.raises(UnicodeEncodeError):
            files.write_text(path, "new \ud800")

        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_gives_a_secret_to_the_user_alone_even_over_an_open_file(self, tmp_path):
        path = tmp_path / "token"
        path.write_text("old")
        path.chmod(0o644)

        files.write_text(path, "secret", mode=0o600)

        assert path.stat().st_mode & 0o777 == 0o600
