"""Files that survive a power cut: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from analyst_cli.errors import CliError


class DiskFullError(CliError):
    """There is not enough room on the disk."""

    code = "disk_full"
    hint = "Free some space and run the command again; what was downloaded is kept."


class NotWritableError(CliError):
    """A folder or file of the user cannot be written."""

    code = "not_writable"
    hint = "Check the permissions of the folder, or choose another one."


def explain(error: OSError) -> CliError:
    """Return the error for a failed write in words that help."""
    where = error.filename2 or error.filename or "the disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(f"The disk or your share of it is full: cannot write {where}.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotWritableError(f"Cannot write {where}: {os.strerror(error.errno)}.")
    return CliError(f"{where}: {error.strerror or error}.", code="file_error")


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``text``; a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, content: Any, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``content`` as JSON."""
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n", mode=mode)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in ``path``; an empty one if there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sync_file(path: Path) -> None:
    """Make the content of ``path`` durable."""
    # Not every file system lets a read-only descriptor be synced, so it is opened for writing.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the operating system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_utf8(path: Path) -> str:
    """Return a path as DuckDB takes it, which is UTF-8 whatever the locale says."""
    return os.fsencode(path).decode("utf-8", errors="replace")
