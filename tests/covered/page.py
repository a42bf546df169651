"""The page that says which branches are covered, and why others are not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.covered import reasons
from tests.covered.measured import TOP, Count, Measured, Untaken

_REASONS = reasons.read()
# Some of these are measured in one run and not in the next.
_SOMETIMES = "Runs in a child that "
PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "coverage.md"
_HEAD = """\
<!-- Written by `make coverage`; measure again instead of changing it. -->

# Coverage

Which statements and branches the tests take (`make test-all`: on SQLite, on PostgreSQL and Redis,
with browsers and with the processes of whole installations), measured by coverage.py in every
process that Python starts. What a process did that was killed, or that may not write files, is
not seen.
"""


def text(found: Measured) -> str:
    """Return the page."""
    return "".join((_HEAD, "\n", *_table(found), *_listed(found)))


def summary(found: Measured) -> str:
    """Return one line for a terminal."""
    total = sum(found.rooms.values(), Count())
    without = sum(_reason(each) is None for each in found.untaken)
    return (
        f"{_share(total.branches_taken, total.branches)} of branches and "
        f"{_share(total.statements_taken, total.statements)} of statements are taken; "
        f"{len(found.untaken)} functions are not taken whole, {without} of them without a reason."
    )


def stale(found: Measured) -> list[str]:
    """Return the reasons that explain nothing: what they name is taken whole."""
    keys = {each.key for each in found.untaken} | {each.path for each in found.untaken}
    lasting = {key for key, reason in _REASONS.items() if not reason.startswith(_SOMETIMES)}
    return sorted(lasting - keys)


def _table(found: Measured) -> Iterator[str]:
    yield "| Room | Branches | taken | Statements | taken |\n| --- | ---: | ---: | ---: | ---: |\n"
    total = sum(found.rooms.values(), Count())
    for room, count in (*sorted(found.rooms.items()), ("together", total)):
        name = room if count is total else f"`{room}`"
        yield (
            f"| {name} | {count.branches:,} | {_share(count.branches_taken, count.branches)} "
            f"| {count.statements:,} | {_share(count.statements_taken, count.statements)} |\n"
        )


def _listed(found: Measured) -> Iterator[str]:
    explained = [each for each in found.untaken if _reason(each) is not None]
    others = [each for each in found.untaken if _reason(each) is None]
    yield "\n## Not taken, and why\n"
    for path, of_file in groupby(explained, key=lambda each: each.path):
        yield f"\n`{path}`\n\n"
        yield from (f"- {_named(each)}: {_reason(each)}\n" for each in of_file)
    if others:
        yield (
            "\n## Not taken, and no reason for it\n\nHere a test is missing, or the measurement "
            "of a process was lost. Named is the first line of each function.\n"
        )
    for path, of_file in groupby(others, key=lambda each: each.path):
        yield f"\n`{path}`\n\n"
        yield from (f"- {_named(each)}: {each.what}\n" for each in of_file)


def _named(each: Untaken) -> str:
    return each.name if each.name == TOP else f"`{each.name}`"


def _reason(each: Untaken) -> str | None:
    return _REASONS.get(each.key) or _REASONS.get(each.path)


def _share(taken: int, count: int) -> str:
    return f"{100 * taken / count:.1f} %" if count else "-"
