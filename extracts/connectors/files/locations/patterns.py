"""Patterns of file names: ``*`` and ``?`` within a folder, ``**`` across folders."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import groupby

SIGNS = "*?["


def is_pattern(name: str) -> bool:
    """Say whether ``name`` stands for several files."""
    return any(sign in name for sign in SIGNS)


def fixed_folder(pattern: str) -> str:
    """Return the folders that a pattern begins with before its first sign, with a ``/`` behind."""
    fixed: list[str] = []
    for part in pattern.split("/")[:-1]:
        if is_pattern(part):
            break
        fixed.append(part + "/")
    return "".join(fixed)


def matches(name: str, pattern: str) -> bool:
    """Say whether a relative name is one of ``pattern``; hidden files are not."""
    names = name.split("/")
    if any(part.startswith(".") for part in names):
        return False
    return _matches(names, [part for part, _ in groupby(pattern.split("/"))])


def _matches(names: list[str], parts: list[str]) -> bool:
    if not parts:
        return not names
    if parts == ["**"]:
        return bool(names)
    if parts[0] == "**":
        return any(_matches(names[start:], parts[1:]) for start in range(len(names)))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])
