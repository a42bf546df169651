"""Names for columns out of whatever a file has in their place."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from extracts.connectors.files.errors import FileUnusableError
from extracts.engine.columns import BIDI, MAX_COLUMNS, MAX_NAME_LENGTH

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Names:
    """Usable names for the columns of a file, and a note about those that had to change."""

    names: tuple[str, ...]
    note: str = ""


def numbered(count: int) -> Names:
    """Return names for the columns of a file without any."""
    return Names(names=tuple(f"column_{number}" for number in range(1, count + 1)))


def usable(given: Sequence[str], *, file: str) -> Names:
    """Return a usable name for each given one, the same for the same ones each time.

    Control characters and those that change the direction of writing go, an empty name becomes
    ``column_2``, a name that another column has gets a number behind it.

    Raises:
        FileUnusableError: there are too many columns.
    """
    if len(given) > MAX_COLUMNS:
        raise FileUnusableError(
            f"{file} has {len(given):,} columns; a table has {MAX_COLUMNS:,} at most.",
            hint="Check the delimiter in the settings of the table, or turn columns into rows.",
        )
    cleaned = [_cleaned(name) or f"column_{number}" for number, name in enumerate(given, start=1)]
    names = _distinct(cleaned)
    pairs = enumerate(zip(given, names, strict=True), start=1)
    changed = [(number, old, new) for number, (old, new) in pairs if old.strip() != new]
    return Names(names=tuple(names), note=_note(file, changed))


def _cleaned(name: str) -> str:
    kept = "".join(
        character
        for character in name
        if character not in BIDI and unicodedata.category(character) not in ("Cc", "Cs")
    )
    return kept.strip()[:MAX_NAME_LENGTH].strip()


def _distinct(names: Sequence[str]) -> list[str]:
    taken = {name.lower() for name in names}
    seen: set[str] = set()
    result = []
    for name in names:
        found = name if name.lower() not in seen else _with_number(name, taken)
        seen.add(found.lower())
        taken.add(found.lower())
        result.append(found)
    return result


def _with_number(name: str, taken: set[str]) -> str:
    number = 2
    while True:
        ending = f"_{number}"
        found = name[: MAX_NAME_LENGTH - len(ending)] + ending
        if found.lower() not in taken:
            return found
        number += 1


def _note(file: str, changed: Sequence[tuple[int, str, str]]) -> str:
    if not changed:
        return ""
    shown = ", ".join(
        f"{number} {old[:40]!a} is {new[:40]!r}" for number, old, new in changed[:_SHOWN]
    )
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return f"{file}: columns without a usable name of their own: {shown}{more}."
