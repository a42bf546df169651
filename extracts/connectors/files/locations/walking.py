"""The names of files below a folder of the server, as text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from extracts.connectors.files.locations.location import MAX_LISTED, TooManyFilesError
from extracts.connectors.files.source_file import SourceFilesMissingError


def walk(root: Path, folder: str, *, is_strict: bool) -> Iterator[str]:
    """Yield the names of files below a folder, sorted; hidden and linked folders do not count.

    Raises:
        TooManyFilesError: there are more than are listed.
        SourceFilesMissingError: a folder cannot be read, where ``is_strict`` says that it must.
    """
    todo, count = [folder], 0
    found: list[str] = []
    while todo:
        here = todo.pop()
        try:
            with os.scandir(root / here) as entries:
                for entry in entries:
                    count += 1
                    name = f"{here}/{entry.name}" if here else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(name)
                    elif not _leads_to_folder(entry):
                        found.append(name)
                    if count > MAX_LISTED:
                        raise TooManyFilesError(
                            f"There are more than {MAX_LISTED:,} files and folders."
                        )
        except OSError as error:
            if is_strict:
                unreadable(here or ".", error)
    yield from sorted(found)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself, for one


def can_be_said(name: str) -> bool:
    """Say whether a name is text; the file system takes any bytes."""
    return said(name) == name


def said(name: str) -> str:
    """Return a name as text, with the bytes that are none written out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def unreadable(name: str, error: OSError) -> NoReturn:
    """Say that a file or folder cannot be read, and why.

    Raises:
        SourceFilesMissingError: always.
    """
    raise SourceFilesMissingError(
        f"{said(name)} cannot be read: {error.strerror}.",
        hint="Check that it is there and that the user Agnes runs as may read it.",
    ) from error
