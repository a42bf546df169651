"""The page that says what is tested of each hostile case."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.cases import GROUPS, TESTS, Case, Marked, marked

PATH = TESTS.parent / "docs" / "reference" / "hostile_cases.md"
_HEAD = """\
<!-- Written by `make docs` from the marks of the tests; change those instead. -->

# Hostile cases

Inputs and faults that the product has to survive: each is refused or harmless, says so plainly,
and leaves the service up. Below each case are the tests that are marked with its number
(`@pytest.mark.hostile(17)`), and what no test shows.
"""


def text() -> str:
    """Return the page as the marks would have it."""
    found = marked()
    return _HEAD + "".join(
        f"\n## {group}\n" + "".join(_section(number, case, found) for number, case in cases.items())
        for group, cases in GROUPS.items()
    )


def _section(number: int, case: Case, found: tuple[Marked, ...]) -> str:
    return f"\n**{number}.** {case.what}\n\n" + "".join(
        f"- {line}\n" for line in _lines(number, case, found)
    )


def _lines(number: int, case: Case, found: tuple[Marked, ...]) -> Iterator[str]:
    of_it = [mark for mark in found if mark.number == number]
    for path in dict.fromkeys(mark.path for mark in of_it):
        names = ", ".join(f"`{mark.name}`" for mark in of_it if mark.path == path and mark.name)
        yield f"`{path}`" + (f": {names}" if names else "")
    if case.open:
        yield f"Not tested: {case.open}"
