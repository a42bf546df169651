"""Move a validated file into the store, so that it survives a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from agnes_site.core.storage import fsync_file, fsync_folder, locked
from extracts.engine.validation import ValidatedPart

# Anybody on the machine may read a stored file where its folder lets them; nobody changes it.
_MODE = 0o444


def stored_path(store: Path, sha256: str) -> Path:
    """Return where the store keeps the file with this hash."""
    return store / sha256[:2] / f"{sha256}.parquet"


def store_part(part: ValidatedPart, *, store: Path) -> Path:
    """Move the file of ``part`` into the store and return its place there.

    A file of the same hash that is already there stays, once it is read and found whole; a
    damaged one is replaced. Its time says that it was taken up now: the clean-up of unused files
    leaves it alone until a commit names it. Safe to repeat; the store must be on the file system
    of the file.

    Raises:
        FileNotFoundError: the file is neither where ``part`` says nor in the store.
    """
    place = stored_path(store, part.sha256)
    _make_folder(place.parent)
    # Not while unused files are removed: this one may be among them until its time is renewed.
    with locked(place.parent):
        if _is_whole(place, part.sha256):
            os.utime(place)
            part.path.unlink(missing_ok=True)
        else:
            part.path.chmod(_MODE)
            fsync_file(part.path)
            part.path.replace(place)
            os.utime(place)
    # Also where the file was there: whoever put it there may have been killed before this.
    fsync_file(place)
    fsync_folder(place.parent)
    return place


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    fsync_folder(folder.parent)
