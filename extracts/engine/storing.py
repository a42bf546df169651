"""Move a validated file into the store, so that it survives a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from agnes_site.core.storage import fsync_all, locked, stored_place
from extracts.engine.validation import ValidatedPart

# Anybody on the machine may read a stored file where its folder lets them; nobody changes it.
_MODE = 0o444


def take_part(part: ValidatedPart, *, store: Path) -> Path:
    """Move the file of ``part`` into the store and return its place there.

    A file of the same hash that is already there stays, once it is read and found whole; a
    damaged one is replaced. Its time says that it was taken up now: the clean-up of unused files
    leaves it alone until a commit names it. Neither it nor its place is durable before
    :func:`make_durable`. Safe to repeat; the store must be on the file system of the file.

    Raises:
        FileNotFoundError: the file is neither where ``part`` says nor in the store.
    """
    place = stored_place(store, part.sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    # Not while unused files are removed: this one may be among them until its time is renewed.
    with locked(place.parent):
        if _is_whole(place, part.sha256):
            os.utime(place)
            part.path.unlink(missing_ok=True)
        else:
            part.path.chmod(_MODE)
            os.utime(part.path)
            part.path.replace(place)
    return place


def make_durable(places: Collection[Path], store: Path) -> dict[Path, OSError]:
    """Make it durable that the files at ``places`` are in the store; return which cannot be.

    Also those that were there: whoever put them there may have been killed before this.
    """
    if not places:
        return {}
    failed = fsync_all({*places, *(place.parent for place in places), store})
    needed = {place: (place, place.parent, store) for place in places}
    return {
        place: failed[path] for place, paths in needed.items() for path in paths if path in failed
    }


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
