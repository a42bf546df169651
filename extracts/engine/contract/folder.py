"""The folder of a source of ours: links into the store, and nothing that we did not put there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from agnes_site.core.errors import ConfigurationError
from agnes_site.core.storage import fsync_folder
from extracts.engine.contract.shape import EXTRACT_NAME

_LINKS_NAME = ".links.json"
_ASIDE = "foreign"
_NEW_LINK = ".link.tmp"
# In characters: a name of a file system is limited to 255 bytes.
_LONGEST_NAME = 50
_OUR_FILES = frozenset(
    [
        _LINKS_NAME,
        f"{_LINKS_NAME}.tmp",
        EXTRACT_NAME,
        f"{EXTRACT_NAME}.wal",
        f"{EXTRACT_NAME}.tmp",
        f"{EXTRACT_NAME}.tmp.wal",
    ]
)

# Names below ``data/`` with the inodes that we linked there.
Links = dict[str, list[int]]


def is_written_by_us(folder: Path) -> bool:
    """Say whether an extract folder was made by this server, not by another producer.

    A copy of such a folder is not: its files are no links of ours.
    """
    return (folder / _LINKS_NAME).exists() and not ExtractFolder(folder).has_foreign_data()


def extract_hash(file: Path) -> str:
    """Return the SHA-256 of an ``extract.duckdb``; empty when it is no file that can be read."""
    try:
        # Without waiting: opening a pipe would last until somebody writes into it.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return hashlib.file_digest(opened, "sha256").hexdigest() if is_regular else ""
    except OSError:
        return ""


class ExtractFolder:
    """``extracts/<source>/`` of a source of ours.

    Which links we made is written down before they are made, so that after a crash a left-over
    link of ours is never taken for a foreign file, nor a foreign file for ours.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_absolute():
            raise ConfigurationError(f"The extract folder {path} is not an absolute path.")
        self.path = path
        self.data = path / "data"

    def announce(self, wanted: Mapping[str, Path]) -> None:
        """Write down that the stored files ``wanted`` are about to be linked."""
        links = self._known_links()
        for name, stored_at in wanted.items():
            inode = stored_at.stat().st_ino
            if inode not in links.setdefault(name, []):
                links[name].append(inode)
        self._remember(links)

    def foreign(self) -> list[Path]:
        """Return whatever we did not put here."""
        return list(self._foreign())

    def set_aside(self, path: Path) -> Path:
        """Move one entry of this folder into ``foreign/`` and return its new place."""
        aside = self.path / _ASIDE
        if aside.is_symlink():
            aside.unlink()
        aside.mkdir(exist_ok=True)
        name = "-".join(path.relative_to(self.path).parts)[-_LONGEST_NAME:]
        place = _free_place(aside / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}")
        path.rename(place)
        return place

    def link(self, wanted: Mapping[str, Path]) -> set[Path]:
        """Make each name below ``data/`` a hard link to its stored file.

        Return the folders that are to be made durable.
        """
        self.data.mkdir(exist_ok=True)
        (self.data / _NEW_LINK).unlink(missing_ok=True)
        for name, stored_at in wanted.items():
            target = self.data / name
            target.parent.mkdir(exist_ok=True)
            if not _is_same_file(target, stored_at):
                _replace_link(self.data / _NEW_LINK, target, stored_at)
        return {(self.data / name).parent for name in wanted} | {self.data}

    def remove_links_except(self, wanted: Collection[str]) -> None:
        """Remove the links of ours that are not ``wanted`` any more."""
        links = self._known_links()
        for name in links.keys() - set(wanted):
            path = self.data / name
            if _inode(path) in links[name]:
                path.unlink()
                _remove_if_empty(path.parent, keep=self.data)
        # Only what is there: an inode number that is free can return in a foreign file.
        present = {name: _inode(self.data / name) for name in wanted}
        kept = {name: [inode] for name, inode in present.items() if inode}
        if kept != links:
            self._remember(kept)

    def has_foreign_data(self) -> bool:
        """Say whether a file below ``data/`` is no link of ours."""
        return _is_folder(self.data) and any(True for _ in self._foreign_data())

    def remove(self) -> None:
        """Remove what we put here; what was set aside stays, and the folder with it."""
        if self.data.is_dir():
            self.remove_links_except(())
        for name in _OUR_FILES:
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.data, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _foreign(self) -> Iterator[Path]:
        for path in sorted(self.path.iterdir()):
            if path.name == _ASIDE:
                continue
            if path.name == "data" and _is_folder(path):
                yield from self._foreign_data()
            elif path.name not in _OUR_FILES or _inode(path) is None:
                yield path

    def _foreign_data(self) -> Iterator[Path]:
        links = self._known_links()
        folders = {name.partition("/")[0] for name in links if "/" in name}
        for path in sorted(self.data.iterdir()):
            if path.name == _NEW_LINK:
                continue
            if path.name in folders and _is_folder(path):
                yield from self._unknown(sorted(path.iterdir()), links)
            else:
                yield from self._unknown([path], links)

    def _unknown(self, paths: Iterable[Path], links: Links) -> Iterator[Path]:
        for path in paths:
            name = path.relative_to(self.data).as_posix()
            if _inode(path) not in links.get(name, []):
                yield path

    def _known_links(self) -> Links:
        if _inode(self.path / _LINKS_NAME) is None:
            return {}
        try:
            links = json.loads((self.path / _LINKS_NAME).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(links, dict):
            return {}
        return {name: inodes for name, inodes in links.items() if _is_below(name)}

    def _remember(self, links: Links) -> None:
        beside = self.path / f"{_LINKS_NAME}.tmp"
        with beside.open("w") as file:
            json.dump(links, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path / _LINKS_NAME)
        fsync_folder(self.path)


def _free_place(path: Path) -> Path:
    place, number = path, 1
    while os.path.lexists(place):
        number += 1
        place = path.with_name(f"{path.name}.{number}")
    return place


def _replace_link(beside: Path, target: Path, stored_at: Path) -> None:
    beside.hardlink_to(stored_at)
    beside.replace(target)


def _inode(path: Path) -> int | None:
    """Return the inode of a regular file, ``None`` for anything else."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino if stat.S_ISREG(status.st_mode) else None


def _is_below(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_same_file(path: Path, other: Path) -> bool:
    return _inode(path) == other.stat().st_ino


def _remove_if_empty(folder: Path, *, keep: Path) -> None:
    if folder != keep and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
