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
    *folders, last = (part for part, _ in groupby(pattern.split("/")))
    # How many of the names the parts so far can stand for: all ways are followed at once.
    counts = {0}
    for part in folders:
        counts = _further(names[:-1], part, counts)
    if last == "**":
        return bool(counts)
    return len(names) - 1 in counts and fnmatchcase(names[-1], last)


def _further(names: list[str], part: str, counts: set[int]) -> set[int]:
    if part == "**":
        return set(range(min(counts), len(names) + 1)) if counts else counts
    return {count + 1 for count in counts if count < len(names) and fnmatchcase(names[count], part)}
