"""Which files a table is made of, none of them outside of the source's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agnes_site.core.errors import InvalidInputError, NotFoundError
from extracts.connectors.files.formats import SUFFIXES, Compression, Format, named_format


class SourceFolderMissingError(NotFoundError):
    """The folder of a source is not there or cannot be read."""

    code = "source_folder_missing"
    status = 422
    hint = "Check that the folder exists on the server and that Agnes may read it."


class SourceFilesMissingError(NotFoundError):
    """There is no file where a table's files should be."""

    code = "source_files_missing"
    status = 422
    hint = "Check the name; it is relative to the folder of the source."


class SourceFileRefusedError(InvalidInputError):
    """A file or a name of files cannot be used for a table."""

    code = "source_file_refused"
    hint = "Give a file, folder or pattern below the folder of the source."


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a table: where it really is, and its name relative to the source's folder."""

    path: Path
    name: str
    kind: Format
    compression: Compression = Compression.NONE
    suffix: str

    @property
    def stem(self) -> str:
        """The last part of the name without its suffix."""
        name = PurePosixPath(self.name).name
        return name[: len(name) - len(self.suffix)]


def table_files(folder: Path, source_table: str, *, kind: Format | None = None) -> list[SourceFile]:
    """Return the files of a table, sorted by name; they are all of one kind.

    ``source_table`` is a file, a folder (every supported file below it) or a pattern. With
    ``kind`` the files are of it, whatever their names say.

    Raises:
        SourceFolderMissingError, SourceFilesMissingError: there is nothing of that name.
        SourceFileRefusedError: a file lies outside of the folder or is not supported.
    """
    root = _root(folder)
    _check_relative(source_table)
    place = root / source_table
    is_pattern = not os.path.lexists(place) and any(sign in source_table for sign in "*?[")
    if is_pattern:
        found = sorted(path for path in root.glob(source_table) if not path.is_dir())
        files = [_source_file(root, path, kind) for path in found if kind or _kind(path.name)]
    elif place.is_dir() and not _kind(place.name):
        _check_inside(root, place)
        files = supported_files(root, place, kind=kind)
    elif os.path.lexists(place):
        files = [_source_file(root, place, kind)]
    else:
        files = []
    if not files:
        raise SourceFilesMissingError(f"There are no files of a known format at {source_table!r}.")
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        mixed = " and ".join(kind.label for kind in kinds)
        raise SourceFileRefusedError(
            f"{source_table!r} mixes {mixed} files in one table.",
            hint="Use a pattern such as 'folder/*.csv'.",
        )
    return files


def supported_files(folder: Path, below: Path, *, kind: Format | None = None) -> list[SourceFile]:
    """Return the supported files below a folder, sorted by name; hidden ones do not count."""
    root = _root(folder)
    return sorted(
        (_source_file(root, path, kind) for path in _walk(below) if kind or _kind(path.name)),
        key=lambda file: file.name,
    )


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        elif not entry.is_dir():
            yield entry


def _root(folder: Path) -> Path:
    try:
        root = folder.resolve(strict=True)
        readable = root.is_dir() and os.access(root, os.R_OK | os.X_OK)
    except (OSError, RuntimeError):
        readable = False
    if not readable:
        raise SourceFolderMissingError(f"The folder {folder} cannot be read.")
    return root


def _check_relative(source_table: str) -> None:
    path = PurePosixPath(source_table)
    is_plain = source_table and "\0" not in source_table and not path.is_absolute()
    if not is_plain or ".." in path.parts:
        raise SourceFileRefusedError(f"{source_table!r} is no name below the source's folder.")


def _source_file(root: Path, path: Path, kind: Format | None = None) -> SourceFile:
    name = path.relative_to(root).as_posix()
    told = named_format(path.name)
    kind = kind or told.format
    if kind is None:
        raise SourceFileRefusedError(
            f"{name} is of no known format.",
            hint=f"Names end with {', '.join(SUFFIXES)}, also with .gz or .zst behind it; for "
            "other names give the format in the settings of the table.",
        )
    real = _check_inside(root, path)
    if not real.is_file():
        raise SourceFileRefusedError(f"{name} is not a file.")
    return SourceFile(
        path=real, name=name, kind=kind, compression=told.compression, suffix=told.suffix
    )


def _check_inside(root: Path, path: Path) -> Path:
    """Return where ``path`` really is, following links."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SourceFilesMissingError(f"{path.name} is a link that leads nowhere.") from error
    if not real.is_relative_to(root):
        raise SourceFileRefusedError(f"{path.name} lies outside of the source's folder.")
    return real


def _kind(name: str) -> Format | None:
    return named_format(name).format
