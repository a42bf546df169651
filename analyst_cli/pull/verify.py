"""Whether a file holds what it should."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from analyst_cli.pull.manifest import FileEntry
from analyst_cli.pull.state import InstalledFile

CHUNK_BYTES = 256 << 10
_MAGIC = b"PAR1"


def hasher(digest: str) -> hashlib._Hash:
    """Return an empty hash of the kind that ``digest`` is of."""
    algorithm = digest.partition(":")[0] or "sha256"
    return hashlib.new(algorithm, usedforsecurity=algorithm != "md5")


def feed(hashed: hashlib._Hash, path: Path) -> None:
    """Add the content of a file to a hash."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hashed.update(buffer[:count])


def is_parquet(path: Path) -> bool:
    """Say whether a file begins and ends as Parquet does."""
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            return False
        file.seek(0, os.SEEK_END)
        if file.tell() < 12:
            return False
        file.seek(-4, os.SEEK_END)
        return file.read(4) == _MAGIC


def record(path: Path, *, digest: str) -> InstalledFile:
    """Return what to remember of a file that is known to be right."""
    status = path.stat()
    return InstalledFile(digest=digest, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)


def stamp(path: Path) -> list[int]:
    """Return what changes when somebody writes a file; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def is_untouched(path: Path, known: InstalledFile | None) -> bool:
    """Say whether a file looks exactly as it did when it was found to be right."""
    if known is None:
        return False
    try:
        status = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_size == known.size_bytes
        and status.st_mtime_ns == known.mtime_ns
    )


def still_holds(path: Path, known: InstalledFile | None) -> bool:
    """Read a file and say whether it is still what it was when it was found to be right."""
    if known is None or not known.digest:
        return False
    return holds(path, FileEntry(path="", digest=known.digest, size_bytes=known.size_bytes))


def holds(path: Path, wanted: FileEntry) -> bool:
    """Read a file and say whether it is the wanted one; a link never is."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        if wanted.size_bytes and path.stat().st_size != wanted.size_bytes:
            return False
        if not wanted.digest:
            return False
        hashed = hasher(wanted.digest)
        feed(hashed, path)
    except OSError:
        return False
    return hashed.hexdigest() == wanted.digest.partition(":")[2]
