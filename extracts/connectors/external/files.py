"""Files in a folder that somebody else writes: what they are like, and opening them safely."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agnes_site.core.errors import InvalidInputError

# Size, time of change, inode and time of change of the inode: what a write cannot leave alone.
Stamps = dict[str, list[int]]


class ReachesOutsideError(InvalidInputError):
    """The extract reads something that does not lie in its own folder."""

    code = "external_reaches_outside"
    hint = (
        "Views may only read files below the folder of the extract, by absolute paths; links that "
        "lead out do not count."
    )


def stamps(folder: Path, files: Iterable[Path] | None) -> Stamps:
    """Return a stamp for each file that exists; ``None`` stands for every file in the folder.

    A file that is still being written under a name ending in ``.tmp`` does not count then.
    """
    paths = _all_files(folder) if files is None else files
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            name = os.path.relpath(path, folder)
            found[name] = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
    return found


def folder_stamps(folder: Path) -> Stamps:
    """Return what changes for a folder below ``folder`` when a name comes into it or goes."""
    found = {}
    for place, _, _ in os.walk(folder):
        with suppress(FileNotFoundError):
            found[place] = [Path(place).stat().st_mtime_ns]
    return found


@contextmanager
def opened_inside(folder: Path, path: Path, *, scratch: Path) -> Iterator[Path]:
    """Open a file below ``folder`` and yield a path in ``scratch`` that means exactly this file.

    Whatever happens meanwhile to its name or to a link on the way to it: the file stays the one
    that was checked. The path is for this process and has the name of the file.

    Raises:
        ReachesOutsideError: it does not lie below ``folder`` or is no regular file.
    """
    # Without waiting: opening a pipe would last until somebody writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        opened = Path(f"/proc/self/fd/{descriptor}")
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not is_regular or not opened.readlink().is_relative_to(folder.resolve()):
            raise ReachesOutsideError(f"{path.name!r} is no file of the folder {folder.name!r}.")
        named = scratch / path.name
        named.symlink_to(opened)
        try:
            yield named
        finally:
            named.unlink()
    finally:
        os.close(descriptor)


def refuse_pipes(folder: Path) -> None:
    """Refuse a folder with a pipe in it: who opens one waits until somebody writes into it.

    Raises:
        ReachesOutsideError: there is one.
    """
    for path in _all_files(folder):
        if path.is_fifo():
            raise ReachesOutsideError(f"{path.name!r} is no file of the folder {folder.name!r}.")


def _all_files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            if not name.endswith(".tmp"):
                yield Path(place) / name
