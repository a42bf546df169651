"""Move a validated file into the store, so that it survives a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from agnes_site.core.storage import fsync_file, fsync_folder, locked
from extracts.engine.validation import ValidatedPart

# Anybody on the machine may read a stored file where its folder lets them; nobody changes it.
_MODE = 0o444


def stored_path(store: Path, sha256: str) -> Path:
    """Return where the store keeps the file with this hash."""
    return store / sha256[:2] / f"{sha256}.parquet"


def store_part(part: ValidatedPart, *, store: Path) -> Path:
    """Move the file of ``part`` into the store, make that durable and return its place there.

    See :func:`take_part`.
    """
    place = take_part(part, store=store)
    make_durable([place], store=store)
    return place


def take_part(part: ValidatedPart, *, store: Path) -> Path:
    """Move the file of ``part`` into the store and return its place there.

    A file of the same hash that is already there stays, once it is read and found whole; a
    damaged one is replaced. Its time says that it was taken up now: the clean-up of unused files
    leaves it alone until a commit names it. Its content is durable, its place is not before
    :func:`make_durable`. Safe to repeat; the store must be on the file system of the file.

    Raises:
        FileNotFoundError: the file is neither where ``part`` says nor in the store.
    """
    place = stored_path(store, part.sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    # Not while unused files are removed: this one may be among them until its time is renewed.
    with locked(place.parent):
        if _is_whole(place, part.sha256):
            os.utime(place)
            # Whoever put it there may have been killed before this.
            fsync_file(place)
            part.path.unlink(missing_ok=True)
        else:
            part.path.chmod(_MODE)
            os.utime(part.path)
            fsync_file(part.path)
            part.path.replace(place)
    return place


def make_durable(places: Iterable[Path], *, store: Path) -> None:
    """Make it durable that the files at ``places`` are in the store: one step for all of them."""
    for folder in {place.parent for place in places}:
        fsync_folder(folder)
    # Also where the folders were there: whoever made them may have been killed before this.
    fsync_folder(store)


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
