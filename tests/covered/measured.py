"""What coverage.py has measured, by function."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coverage import Coverage

# A room of its own on the page; anything else belongs to its app.
_ROOMS = (
    "agnes_site/core", "agnes_site/web", "agnes_site/demo", "extracts/engine",
    "extracts/connectors", "extracts/services", "catalog/services", "access/services",
)  # fmt: skip

# What is named like a function where it stands in none.
TOP = "the top of the file"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many statements and branches there are, and how many of them were taken."""

    statements: int = 0
    statements_taken: int = 0
    branches: int = 0
    branches_taken: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            statements=self.statements + other.statements,
            statements_taken=self.statements_taken + other.statements_taken,
            branches=self.branches + other.branches,
            branches_taken=self.branches_taken + other.branches_taken,
        )


@dataclass(frozen=True, kw_only=True)
class Untaken:
    """A function with branches that no test takes, or the top of a file."""

    path: str
    name: str
    what: str

    @property
    def key(self) -> str:
        """What a reason is kept under: ``access/auth.py:Caller.of``."""
        return f"{self.path}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measurement of all tests."""

    rooms: dict[str, Count]
    untaken: list[Untaken]

    @classmethod
    def read(cls) -> Measured:
        """Return what lies in the data file of coverage.py.

        Raises:
            coverage.exceptions.NoDataError: nothing was measured.
        """
        coverage = Coverage()
        coverage.load()
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "coverage.json"
            coverage.json_report(outfile=str(report))
            files: dict[str, Any] = json.loads(report.read_text())["files"]
        rooms: dict[str, Count] = {}
        for path, file in sorted(files.items()):
            room = _room(path)
            rooms[room] = rooms.get(room, Count()) + _count(file["summary"])
        untaken = [each for path, file in sorted(files.items()) for each in _untaken(path, file)]
        return cls(rooms=rooms, untaken=untaken)


def _room(path: str) -> str:
    return next((room for room in _ROOMS if path.startswith(f"{room}/")), path.partition("/")[0])


def _count(summary: dict[str, Any]) -> Count:
    return Count(
        statements=summary["num_statements"], statements_taken=summary["covered_lines"],
        branches=summary["num_branches"], branches_taken=summary["covered_branches"],
    )  # fmt: skip


def _untaken(path: str, file: dict[str, Any]) -> Iterator[Untaken]:
    for name, function in file["functions"].items():
        lines, branches = function["missing_lines"], function["missing_branches"]
        if not lines and not branches:
            continue
        summary = function["summary"]
        if not summary["covered_lines"]:
            what = "all of it"
        else:
            # A branch to a line that is missing is told by the line.
            ways = [way for way in branches if abs(way[1]) not in lines]
            what = _told(path, lines, ways)
        yield Untaken(path=path, name=name or TOP, what=what)


def _told(path: str, lines: list[int], ways: list[list[int]]) -> str:
    """Return the code of the first line that is not reached, or that goes one way only."""
    at = min([*lines, *(start for start, _ in ways)])
    code = Path(path).read_text(encoding="utf-8").splitlines()[at - 1].strip()
    count = len(lines) + len(ways)
    return f"`{code}`" + (f" and {count - 1} more" if count > 1 else "")
