"""File systems of a test's own, which can be filled, and have as much room as a test leaves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Disk:
    """A mounted file system."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def leave(self, free: int) -> None:
        """Fill the disk until ``free`` bytes are left, rounded to its pages."""
        self.clear()
        self._ballast.mkdir()
        with (self._ballast / "bytes").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(self._free_bytes() - free, PAGE))

    def leave_files(self, free: int) -> None:
        """Make files until only ``free`` more can be made."""
        self.clear()
        self._ballast.mkdir()
        for number in range(os.statvfs(self.folder).f_favail - free):
            (self._ballast / str(number)).touch()

    def clear(self) -> None:
        """Give back what was taken."""
        if self._ballast.exists():
            for path in self._ballast.iterdir():
                path.unlink()
            self._ballast.rmdir()

    def make_read_only(self, is_read_only: bool = True) -> None:
        """Let nobody write, or everybody again."""
        rights = "ro" if is_read_only else "rw"
        subprocess.run(["mount", "-o", f"remount,{rights}", str(self.folder)], check=True)

    def _free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Disk]:
    """Mount an empty file system at ``folder``; skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield Disk(folder)
    finally:
        # Lazily: a process that a test has killed may still be on its way out.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
