"""The set of files that one local database looks at.

Each set is a folder of hard links, so that a program which still has the last database open
goes on reading the files that belong to it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from analyst_cli.files import sync_folder
from analyst_cli.pull.state import State
from analyst_cli.workspace import Workspace


def folder(workspace: Workspace, number: int) -> Path:
    """Return where the files of a generation are; 0 is the folder of pulled files itself."""
    return workspace.generations / str(number) if number else workspace.parquet


def create(workspace: Workspace, state: State, *, paths: Iterable[str]) -> int:
    """Link the files into a new generation and return its number.

    Returns 0 where the file system has no hard links.
    """
    number = max([state.generation, *_numbers(workspace)]) + 1
    target = folder(workspace, number)
    folders = {target}
    target.mkdir(parents=True, exist_ok=True)
    try:
        for path in paths:
            link = target / path
            link.parent.mkdir(exist_ok=True)
            os.link(workspace.parquet / path, link)
            folders.add(link.parent)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        return 0
    for each in (*folders, workspace.generations):
        sync_folder(each)
    return number


def is_intact(workspace: Workspace, state: State) -> bool:
    """Say whether the links of the present generation still lead to the pulled files."""
    if not state.generation:
        return True
    linked = folder(workspace, state.generation)
    return all(_same(linked / path, workspace.parquet / path) for path in _used(state))


def drop_before(workspace: Workspace, number: int) -> None:
    """Delete the generations older than ``number``."""
    for other in _numbers(workspace):
        if other < number:
            shutil.rmtree(folder(workspace, other), ignore_errors=True)


def drop_files(workspace: Workspace, paths: Iterable[str]) -> None:
    """Delete files from all generations, for tables that may not be read any more."""
    for number in _numbers(workspace):
        for path in paths:
            (folder(workspace, number) / path).unlink(missing_ok=True)


def _numbers(workspace: Workspace) -> list[int]:
    try:
        names = os.listdir(workspace.generations)  # noqa: PTH208 half the cost of iterdir
    except FileNotFoundError:
        return []
    return [int(name) for name in names if name.isdecimal()]


def _used(state: State) -> list[str]:
    return [path for table in state.tables.values() for path in table.paths]


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False
