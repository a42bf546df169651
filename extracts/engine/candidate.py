"""The folder of one run: where a connector puts the parts of a candidate.

::

    <folder>/parts/00000.parquet …   written or copied, one file per part
    <folder>/scratch/                temporary files of the connector
"""

from __future__ import annotations

import fcntl
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import InvalidInputError, UpstreamError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress, silent
from catalog.connectors import CandidatePart
from extracts.engine.parquet import write_parquet
from extracts.engine.validation import check_ends, reading_damage

# A key becomes part of a file name on laptops of any kind.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,126}[A-Za-z0-9_=+-]|[A-Za-z0-9_]")

# Linux' request to share the blocks of a file instead of copying them.
_FICLONE = 0x40049409


class PartKeyError(InvalidInputError):
    """A part has a key that cannot be used, or that another part of the candidate has."""

    code = "part_key_invalid"
    hint = "Use letters, digits and _ . = + - only, once per part."


class Candidate:
    """Implements :class:`catalog.connectors.Output` for the folder of one run."""

    def __init__(self, folder: Path, *, progress: Progress = silent) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.progress = progress
        self._parts = folder / "parts"
        self._keys: set[str] = set()
        self._rows = 0
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(exist_ok=True)

    def write(
        self, batches: pa.RecordBatchReader, *, key: str = "", order: tuple[str, ...] = ()
    ) -> CandidatePart:
        """Write one part from Arrow batches sorted by ``order``; empty means arrival order.

        Raises:
            PartKeyError: ``key`` is not usable, or was written before.
        """
        path = self._place(key)
        try:
            written = write_parquet(batches, path, order=order, progress=self._extracting)
        except BaseException:
            # The caller may have another way to bring this part.
            path.unlink(missing_ok=True)
            self._keys.discard(key.lower())
            raise
        self._rows += written.rows
        failpoint("extract.part_written")
        return CandidatePart(path=path, key=key, rows=written.rows, bytes=written.bytes)

    def copy(self, path: Path, *, key: str = "") -> CandidatePart:
        """Take a finished Parquet file as one part, as it is; ``path`` itself stays untouched.

        Raises:
            PartKeyError: ``key`` is not usable, or was written before.
            DamagedFileError: the file is not Parquet.
            UpstreamError: the file changed while it was copied.
        """
        place = self._place(key)
        before = _identity(path)
        _copy(path, place)
        if _identity(path) != before:
            raise UpstreamError(f"{path.name} changed while it was being copied.")
        check_ends(place, name=path.name)
        with reading_damage(f"{path.name} is not a readable Parquet file"):
            rows = pq.read_metadata(place).num_rows
        failpoint("extract.part_written")
        return CandidatePart(path=place, key=key, rows=rows, bytes=place.stat().st_size)

    def _extracting(
        self, phase: str, *, done: int = 0, total: int | None = None, message: str = ""
    ) -> None:
        """Count the rows of all parts: what the writer writes is what a run extracts."""
        self.progress("extract", done=self._rows + done, total=total, message=message)

    def _place(self, key: str) -> Path:
        if key and not _KEY.fullmatch(key):
            raise PartKeyError(f"A part cannot have the key {key!r}.", key=key)
        # A file name on a laptop may not tell upper from lower case.
        if key.lower() in self._keys:
            raise PartKeyError(f"There are two parts with the key {key!r}.", key=key)
        self._keys.add(key.lower())
        return self._parts / f"{len(self._keys) - 1:05}.parquet"


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:  # another file system, or one that cannot share blocks
            shutil.copyfileobj(read, write, 1024 * 1024)


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
