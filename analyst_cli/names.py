"""Which names from a server may become a file, a view and a part of a URL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_BYTES = 200


def is_single_segment(name: str) -> bool:
    """Say whether ``name`` is one plain file name on every operating system."""
    return (
        bool(name)
        and len(name.encode("utf-8", "replace")) <= _MAX_BYTES
        and name.isprintable()
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and _FORBIDDEN.search(name) is None
        and _RESERVED.fullmatch(name) is None
    )


NO_TABLES_HINT = "Ask an administrator to grant a table to a group that you are in."


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the ``known`` names that look like ``name``, the best first."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    return [by_lower[match] for match in found]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names what is near ``name`` and where to find the rest."""
    found = nearest(name, known)
    more = "Run `agnes catalog` to list the tables you may read."
    return f"Did you mean {' or '.join(found)}? {more}" if found else more
