"""Where things lie below ``DATA_DIR``, and how a file gets there without ever being half there."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agnes_site.core.errors import AgnesError

# What a disk is asked to make durable at a time.
_AT_A_TIME = 16


class StorageFullError(AgnesError):
    """The disk is full, or a quota is reached."""

    code = "storage_full"
    status = 507
    hint = "Free some space below DATA_DIR; the run can then be started again."


class StorageFailedError(AgnesError):
    """A file could not be read or written."""

    code = "storage_failed"
    hint = "Look at the rights and the health of the disk below DATA_DIR."


class StorageSplitError(AgnesError):
    """A file cannot be moved into place: the place is on another file system."""

    code = "storage_split"
    hint = (
        "Keep all folders below DATA_DIR on one file system, so that a file appears as a whole; "
        "mount a disk at DATA_DIR itself."
    )


def as_storage_error(error: OSError) -> AgnesError:
    """Return what a failure of the operating system means for a person."""
    if is_disk_full(error):
        return StorageFullError("There is no space left for the data.")
    if error.errno == errno.EXDEV:
        return StorageSplitError("The folders below DATA_DIR are on different file systems.")
    name = Path(error.filename).name if error.filename else "a file"
    return StorageFailedError(f"{name} cannot be used: {error.strerror or error}.")


def is_disk_full(error: OSError) -> bool:
    """Say whether something failed because the disk, or somebody's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def as_database_error(error: Exception) -> AgnesError | None:
    """Return what a failure of the database's own files means; ``None`` when it is none.

    Only SQLite keeps files of ours, and has words instead of numbers for what is wrong.
    """
    text = str(error)
    if "disk is full" in text:
        return StorageFullError("There is no space left for the database.")
    if any(words in text for words in _DATABASE_FILE_TROUBLE):
        return StorageFailedError(
            f"The database cannot be used: {text}.",
            hint="Look at the free space, the rights and the health of the disk below DATA_DIR.",
        )
    return None


_DATABASE_FILE_TROUBLE = (
    "disk I/O error",
    "readonly database",
    "unable to open database file",
    "disk image is malformed",
    "file is not a database",
)


@dataclass(frozen=True)
class Layout:
    """The folders below ``DATA_DIR``."""

    root: Path
    state: Path

    @property
    def store(self) -> Path:
        """The immutable files, by their hash."""
        return self.root / "store"

    @property
    def extracts(self) -> Path:
        """One folder a source, with its ``extract.duckdb``."""
        return self.root / "extracts"

    @property
    def analytics(self) -> Path:
        """The DuckDB of views over all sources."""
        return self.root / "analytics"

    @property
    def tmp(self) -> Path:
        """Staging, on the same file system as the store."""
        return self.root / "tmp"

    @property
    def quarantine(self) -> Path:
        """Rows that could not be read, a file for each run that set some aside."""
        return self.root / "quarantine"

    @property
    def damaged(self) -> Path:
        """Stored files that no longer held what they should."""
        return self.quarantine / "damaged"

    @property
    def files(self) -> Path:
        """Where people put files for sources to read."""
        return self.root / "files"

    @property
    def own(self) -> tuple[Path, ...]:
        """What only the server itself reads, whatever is configured."""
        return (self.state, self.store, self.extracts, self.analytics, self.tmp, self.quarantine)

    @property
    def broker(self) -> Path:
        """The folders of the broker that needs no server."""
        return self.state / "broker"

    @property
    def imports(self) -> Path:
        """Documents that wait for somebody to say yes to their plan."""
        return self.state / "imports"

    def create(self) -> None:
        """Make every folder that is not there yet; what holds secrets is for its owner only."""
        for folder in (
            self.root, self.store, self.extracts, self.analytics, self.tmp, self.files,
            self.root / "static",
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.state, self.broker, self.state / "cache", self.imports):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def stored(self, sha256: str) -> Path:
        """Return the place of the stored file with this hash."""
        return stored_place(self.store, sha256)


def stored_place(store: Path, sha256: str) -> Path:
    """Return where ``store`` keeps the file with this hash."""
    return store / sha256[:2] / f"{sha256}.parquet"


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the content of ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_all(paths: Collection[Path]) -> dict[Path, OSError]:
    """Make the content of files and the names in folders durable; return what could not be.

    A disk that is asked for many at a time takes little longer than for one.
    """
    failed: dict[Path, OSError] = {}

    def make_durable(path: Path) -> None:
        try:
            fsync_file(path)
        except OSError as error:
            failed[path] = error

    with ThreadPoolExecutor(max_workers=_AT_A_TIME) as executor:
        # Waits for all of them, and raises what is no failure of the disk.
        list(executor.map(make_durable, paths))
    return failed


@contextmanager
def locked(folder: Path, *, shared: bool = False, waits: bool = True) -> Iterator[None]:
    """Hold the right to add to and remove from ``folder`` while the block runs; wait for it.

    With ``shared`` others may hold it as well, all of them in this way.

    Raises:
        BlockingIOError: somebody else holds it, and the caller does not wait.
    """
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Write ``path`` for its owner only; a reader sees the old content or the new, never half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    fsync_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
