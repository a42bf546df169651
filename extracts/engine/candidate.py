"""The folder of one run: finished parts, scratch space, and a description of what is there.

::

    <folder>/parts/00000.parquet …   written or copied, one file per part
    <folder>/scratch/                temporary files of the connector
    <folder>/candidate.json          the result of the run, written last

The process that extracts writes the folder and another one reads it, which trusts nothing
that the first, having met foreign data, may have left.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import ConflictError, InvalidInputError, UpstreamError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress, silent
from catalog.connectors import CandidatePart, ExtractResult
from extracts.engine.parquet import write_parquet
from extracts.engine.validation import reading_damage

_DESCRIPTION = "candidate.json"
_PART_FILE = re.compile(r"[0-9]{5,}\.parquet")

# A key becomes part of a file name on laptops of any kind.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,126}[A-Za-z0-9_=+-]|[A-Za-z0-9_]")

# Linux' request to share the blocks of a file instead of copying them.
_FICLONE = 0x40049409


class PartKeyError(InvalidInputError):
    """A part has a key that cannot be used, or that another part of the candidate has."""

    code = "part_key_invalid"
    hint = "Use letters, digits and _ . = + - only, once per part."


class CandidateIncompleteError(ConflictError):
    """The folder of a run does not hold a finished candidate."""

    code = "candidate_incomplete"
    hint = "Run the extract again."


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
        with reading_damage(f"{path.name} is not a readable Parquet file"):
            rows = pq.read_metadata(place).num_rows
        failpoint("extract.part_written")
        return CandidatePart(path=place, key=key, rows=rows, bytes=place.stat().st_size)

    def finish(self, result: ExtractResult) -> None:
        """Describe the candidate by the result of its connector; nothing is written after this."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        description = asdict(result)
        for part in description["parts"]:
            part["path"] = part["path"].name
        unfinished = self.folder / (_DESCRIPTION + ".new")
        unfinished.write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(self.folder / _DESCRIPTION)
        failpoint("extract.candidate_written")

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


def read_candidate(folder: Path) -> ExtractResult:
    """Return the result that :meth:`Candidate.finish` described in ``folder``.

    Raises:
        CandidateIncompleteError: the run did not get that far, or left something else.
    """
    try:
        text = (folder / _DESCRIPTION).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CandidateIncompleteError("The run left no finished candidate.") from error
    try:
        description = json.loads(text)
        parts = tuple(_part(folder / "parts", part) for part in description.pop("parts"))
        removed, notes = description.pop("removed_parts"), description.pop("notes")
        return ExtractResult(
            parts=parts, removed_parts=tuple(removed), notes=tuple(notes), **description
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CandidateIncompleteError(
            f"The run left a description that cannot be used: {error}."
        ) from error


def _part(folder: Path, description: dict[str, Any]) -> CandidatePart:
    name, key = description["path"], description["key"]
    if not _PART_FILE.fullmatch(name) or (key and not _KEY.fullmatch(key)):
        raise ValueError(f"part {key!r} in {name!r}")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{name} is no file")
    return CandidatePart(
        path=path, key=key, rows=int(description["rows"]), bytes=int(description["bytes"])
    )


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:  # another file system, or one that cannot share blocks
            shutil.copyfileobj(read, write, 1024 * 1024)


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
