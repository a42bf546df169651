"""What every place of files can do: list them, tell whether they changed, bring them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnes_site.core.errors import LimitExceededError, NotFoundError, UpstreamError
from catalog.connectors import Health
from extracts.connectors.files.formats import Format
from extracts.connectors.files.source_file import SourceFile

# More are never listed: a pattern that means so many is a mistake, or an attack.
MAX_LISTED = 100_000

# What a place says of a file, as JSON: equal stamps, equal content.
Stamp = list[Any]


class TooManyFilesError(LimitExceededError):
    """A folder or pattern holds more files than are listed."""

    code = "too_many_files"
    status = 422
    hint = "Give a folder or pattern of fewer files, or put several into one."


class FileTooLargeError(LimitExceededError):
    """A file is larger than the settings of its source allow."""

    code = "file_too_large"
    status = 422
    hint = "Raise max_megabytes in the settings of the source, or split the file."


class FileChangedError(UpstreamError):
    """A file changed while it was being read; the last version stays."""

    code = "file_changed"
    hint = "Run it again; a producer should write files under another name and rename them."


class RemoteFileMissingError(NotFoundError):
    """A server has no such file."""

    code = "remote_file_missing"
    status = 422
    hint = "Check the address, upper and lower case included."


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file where it lies: its name within the source, and its place as the location knows it.

    ``kind`` is its format where the settings say it, whatever its name says.
    """

    name: str
    place: str
    bytes: int | None = None
    stamp: Stamp | None = None
    kind: Format | None = None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that can be read now; ``stamp`` is ``None`` while it cannot be told from another."""

    file: SourceFile
    stamp: Stamp | None
    is_same: Callable[[], bool] = lambda: True

    def check(self) -> None:
        """Refuse what has changed since it was fetched.

        Raises:
            FileChangedError: it has.
        """
        if not self.is_same():
            raise FileChangedError(
                f"{self.file.name}: a file changed while it was being read.", retry_after=60
            )


class Location(ABC):
    """A place with files."""

    # Whether only the server itself can tell that a file has changed.
    asks_with_stamps = False
    # Whether looking at many files is cheap.
    is_near = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the files that :meth:`entries` found last."""
        return ()

    @abstractmethod
    def test(self) -> Health:
        """Try whether the place can be reached."""

    @abstractmethod
    def listed(self) -> list[Entry]:
        """Return the files of known formats, sorted by name.

        Raises:
            TooManyFilesError: there are too many.
            AgnesError: the place cannot be read.
        """

    @abstractmethod
    def entries(self, source_table: str, *, kind: Format | None = None) -> list[Entry]:
        """Return the files of a table, sorted by name: one file, a folder or a pattern.

        With ``kind`` they are of it, and their names need not tell a format.

        Raises:
            SourceFilesMissingError: there are none.
            SourceFileRefusedError: the name is not one of this source.
        """

    @abstractmethod
    def stamps(self, entries: Sequence[Entry], known: Mapping[str, Stamp]) -> list[Stamp | None]:
        """Return what each file is now, ``None`` where it cannot be told without fetching it.

        ``known`` are the stamps of the last time, by name.
        """

    @abstractmethod
    def fetched(
        self, entries: Sequence[Entry], scratch: Path
    ) -> AbstractContextManager[list[Fetched]]:
        """Make files readable while the block runs; what is brought lies in ``scratch``."""

    def beginnings(
        self, entries: Sequence[Entry], scratch: Path
    ) -> AbstractContextManager[list[Fetched]]:
        """Make at least the first megabyte of each file readable, the whole where it must be."""
        return self.fetched(entries, scratch)
