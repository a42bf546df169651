"""Files in a folder of the server."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from catalog.connectors import Health, Reach
from extracts.connectors.files.formats import Format
from extracts.connectors.files.locations.location import (
    Entry,
    Fetched,
    Location,
    Stamp,
    TooManyFilesError,
)
from extracts.connectors.files.locations.patterns import fixed_folder, is_pattern, matches
from extracts.connectors.files.locations.walking import can_be_said, said, unreadable, walk
from extracts.connectors.files.source_file import (
    SourceFileRefusedError,
    SourceFilesMissingError,
    SourceFolderMissingError,
    check_relative,
    is_supported,
    source_file,
)
from extracts.connectors.reach.paths import (
    NotAFileError,
    PathNotAllowedError,
    allowed_path,
    opened,
)

# A file that changed so recently may change again without a visible difference: clocks of file
# systems are coarse, and pages written through a memory map get their time late.
_SETTLED_NS = 60 * 10**9
# Descriptors that everything else in the process needs.
_SPARE_DESCRIPTORS = 128
# Names that a note lists.
_SHOWN = 5


class LocalLocation(Location):
    """A folder below the configured roots; nothing outside of it is read, not even by a link."""

    is_near = True

    def __init__(
        self, folder: Path, reach: Reach, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Follow the folder to where it is.

        Raises:
            PathNotAllowedError: it is not below a configured root.
            SourceFolderMissingError: it is not there, or cannot be read.
        """
        self._root = allowed_path(folder, reach)
        if self._root.is_file():
            raise SourceFolderMissingError(
                f"{folder} is a file.", hint="Give the folder that it is in; files are chosen next."
            )
        if not self._root.is_dir() or not os.access(self._root, os.R_OK | os.X_OK):
            raise SourceFolderMissingError(f"The folder {folder} cannot be read.")
        self._inner = Reach(roots=(self._root,), private=reach.private)
        self._now_ns = now_ns
        self._passed_over: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Say which files of a pattern or folder are links that were passed over."""
        if not self._passed_over:
            return ()
        shown = ", ".join(self._passed_over[:_SHOWN])
        more = (
            f" and {len(self._passed_over) - _SHOWN:,} more" if self._passed_over[_SHOWN:] else ""
        )
        return (f"Passed over, as links out of the source's folder: {shown}{more}.",)

    def test(self) -> Health:
        """Look into the folder."""
        count = len(self.listed())
        return Health(
            message=f"The folder can be read; it holds {count:,} files of known formats.",
            details={"files": count},
        )

    def listed(self) -> list[Entry]:
        """Return what can be read; links that lead out and what is no file are left out."""
        found = []
        for name in walk(self._root, "", is_strict=False):
            if not is_supported(name) or not can_be_said(name):
                continue
            try:
                real = allowed_path(self._root / name, self._inner)
            except PathNotAllowedError:
                continue
            if real.is_file() and os.access(real, os.R_OK):
                found.append(_entry(name, real))
        return found

    def entries(self, source_table: str, *, kind: Format | None = None) -> list[Entry]:
        """Return the files of a table."""
        check_relative(source_table)
        place = self._root / source_table
        if os.path.lexists(place) and (is_supported(place.name) or not place.is_dir()):
            return [self._checked(source_table, kind)]
        if is_pattern(source_table) and not place.is_dir():
            below = fixed_folder(source_table)
            names = [name for name in self._below(below) if matches(name, source_table)]
        else:
            names = self._below(source_table.rstrip("/") + "/")
        names = [name for name in names if kind or is_supported(name)]
        outside = {name for name in names if self._leads_out(name)}
        inside = [name for name in names if name not in outside]
        self._passed_over = [said(name) for name in sorted(outside)]
        if not names:
            raise SourceFilesMissingError(
                f"There are no files of a known format at {source_table!r}."
            )
        return [self._checked(name, kind) for name in inside or names]

    def stamps(self, entries: Sequence[Entry], known: Mapping[str, Stamp]) -> list[Stamp | None]:
        """Ask the file system."""
        return [self._stamp_at(Path(each.place)) for each in entries]

    @contextmanager
    def fetched(self, entries: Sequence[Entry], scratch: Path) -> Iterator[list[Fetched]]:
        """Open the files: whatever becomes of their names, these are the ones that are read."""
        _allow_descriptors(len(entries))
        folder = scratch / "places"
        folder.mkdir(exist_ok=True)
        with ExitStack() as stack:
            yield [self._fetched(entry, folder, stack) for entry in entries]

    def _fetched(self, entry: Entry, folder: Path, stack: ExitStack) -> Fetched:
        path = Path(entry.place)
        try:
            descriptor = stack.enter_context(opened(path, self._inner))
        except PathNotAllowedError as error:
            raise SourceFileRefusedError(
                f"{entry.name} lies outside of the source's folder."
            ) from error
        except NotAFileError as error:
            raise SourceFileRefusedError(f"{entry.name} is not a file.") from error
        except OSError as error:
            unreadable(entry.name, error)
        before = _stamp(os.fstat(descriptor))

        def is_same() -> bool:
            try:
                return _stamp(os.fstat(descriptor)) == before == _stamp(path.stat())
            except OSError:
                return False

        return Fetched(
            file=source_file(_linked(descriptor, folder, path.name), entry.name, kind=entry.kind),
            stamp=self._settled(before),
            is_same=is_same,
        )

    def _stamp_at(self, path: Path) -> Stamp | None:
        try:
            return self._settled(_stamp(path.stat()))
        except OSError:
            return None  # whoever fetches it says why

    def _leads_out(self, name: str) -> bool:
        path = self._root / name
        if not path.is_symlink():
            return False
        try:
            allowed_path(path, self._inner)
        except PathNotAllowedError:
            return True
        return False

    def _below(self, folder: str) -> list[str]:
        start = self._root / folder
        if not os.path.lexists(start):
            raise SourceFilesMissingError(f"There is nothing at {folder or '.'!r}.")
        self._real(start, folder.rstrip("/") or ".")
        return list(walk(self._root, folder.removesuffix("/"), is_strict=True))

    def _checked(self, name: str, kind: Format | None) -> Entry:
        path = self._root / name
        real = self._real(path, name)
        if not real.is_file():
            raise SourceFileRefusedError(f"{said(name)} is not a file.")
        return _entry(name, real, kind)

    def _real(self, path: Path, name: str) -> Path:
        """Return where a path below the folder leads to."""
        try:
            real = allowed_path(path, self._inner)
        except PathNotAllowedError as error:
            raise SourceFileRefusedError(
                f"{said(name)} lies outside of the source's folder, or is hidden."
            ) from error
        if not real.exists() and os.path.lexists(path):
            raise SourceFilesMissingError(f"{said(name)} is a link that leads nowhere.")
        return real

    def _settled(self, stamp: Stamp) -> Stamp | None:
        changed_ns = max(stamp[3], stamp[4])
        return stamp if 0 <= self._now_ns() - changed_ns >= _SETTLED_NS else None


def _linked(descriptor: int, folder: Path, name: str) -> Path:
    """Return a path of the same name that leads to an open file."""
    place = folder / str(descriptor)
    place.mkdir(exist_ok=True)
    link = place / name
    for old in place.iterdir():
        old.unlink()
    link.symlink_to(f"/proc/self/fd/{descriptor}")
    return link


def _stamp(found: os.stat_result) -> Stamp:
    # The change time cannot be set by programs, unlike the modification time.
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _entry(name: str, real: Path, kind: Format | None = None) -> Entry:
    try:
        size = real.stat().st_size
    except OSError as error:
        unreadable(name, error)
    return Entry(name=said(name), place=str(real), bytes=size, kind=kind)


def _allow_descriptors(count: int) -> None:
    """Let this process hold ``count`` files open."""
    needed = len(list(Path("/proc/self/fd").iterdir())) + count + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooManyFilesError(
            f"{count:,} files cannot be open at once on this server.",
            hint="Raise the limit of open files (LimitNOFILE), or use fewer files.",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
