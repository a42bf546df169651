"""Read stored files again, set aside those that a disk has damaged, put back what has a copy."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import fsync_file, fsync_folder, locked

# What a disk says of a place that it cannot read any more.
_UNREADABLE = (errno.EIO, errno.EBADMSG, errno.EUCLEAN)


class Soundness(StrEnum):
    """What became of a stored file."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a stored file was found to be, and which file that was."""

    soundness: Soundness
    bytes: int = 0
    inode: int = 0


def read_again(place: Path, sha256: str) -> Finding:
    """Read the stored file at ``place`` from the disk and compare its hash.

    Raises:
        OSError: it cannot be opened, for a reason that is not the disk's.
    """
    try:
        with place.open("rb") as file:
            status = os.fstat(file.fileno())
            # The memory may still hold what the disk has lost.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            is_whole = _hash_of(file.fileno()) == sha256
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except FileNotFoundError:
        return Finding(soundness=Soundness.MISSING)
    soundness = Soundness.WHOLE if is_whole else Soundness.DAMAGED
    return Finding(soundness=soundness, bytes=status.st_size, inode=status.st_ino)


def set_aside(place: Path, found: Finding, *, quarantine: Path) -> Path | None:
    """Move a damaged file out of the store; return where it is now.

    Returns ``None`` where somebody has replaced it since.
    """
    quarantine.mkdir(parents=True, exist_ok=True)
    with locked(place.parent):
        try:
            status = place.stat()
        except FileNotFoundError:
            return None
        if status.st_ino != found.inode:
            return None
        aside = quarantine / f"{place.stem}-{found.inode}.parquet"
        place.rename(aside)
    fsync_folder(quarantine)
    fsync_folder(place.parent)
    failpoint("scrub.set_aside")
    return aside


def put_back(place: Path, sha256: str, *, copies: Iterable[Path]) -> bool:
    """Bring a missing file back from the first whole one of ``copies``; say whether there was one.

    The copies must be on the file system of the store.
    """
    for copy in copies:
        if read_again(copy, sha256).soundness != Soundness.WHOLE:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.parent):
            if not place.exists():
                place.hardlink_to(copy)
                fsync_file(place)
        fsync_folder(place.parent)
        fsync_folder(place.parent.parent)
        failpoint("scrub.put_back")
        return True
    return False


def _hash_of(descriptor: int) -> str:
    """Return the SHA-256 of an open file; empty where the disk cannot read it any more."""
    try:
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if error.errno in _UNREADABLE:
            return ""
        raise
