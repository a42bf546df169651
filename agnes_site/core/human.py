"""Numbers and times as people say them."""

from __future__ import annotations

from datetime import datetime

# Between a number and its unit, so that they stay on one line.
_GAP = "\u00a0"
_SIZES = ("kB", "MB", "GB", "TB", "PB")
_SPANS = (
    (60, "second", 1),
    (3600, "minute", 60),
    (86_400, "hour", 3600),
    (86_400 * 45, "day", 86_400),
    (86_400 * 600, "month", 86_400 * 30),
)
_YEAR = 86_400 * 365


def size(count: int | None) -> str:
    """Return a number of bytes in the unit that fits it: ``323 MB``."""
    if count is None:
        return "—"
    if count < 1000:
        return plural(count, "byte").replace(" ", _GAP)
    scaled = float(count)
    for unit in _SIZES:
        scaled /= 1000
        if scaled < 999.5 or unit == _SIZES[-1]:
            break
    amount = f"{scaled:.1f}" if scaled < 9.95 else f"{scaled:,.0f}"
    return f"{amount}{_GAP}{unit}"


def number(count: int | None) -> str:
    """Return a number in groups of three digits: ``1,234,567``."""
    return "—" if count is None else f"{count:,}"


def plural(count: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: ``1 table``, ``2 tables``."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def ago(when: datetime, *, now: datetime) -> str:
    """Return how far a time is from ``now``: ``3 minutes ago``, ``in 2 days``."""
    seconds = (now - when).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    said = _span(abs(seconds))
    return f"{said} ago" if seconds > 0 else f"in {said}"


def duration(seconds: float) -> str:
    """Return how long something took: ``0.4 s``, ``3 min 4 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}{_GAP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_GAP}s"
    if whole < 3600:
        return f"{whole // 60}{_GAP}min{_GAP}{whole % 60}{_GAP}s"
    return f"{whole // 3600}{_GAP}h{_GAP}{whole % 3600 // 60}{_GAP}min"


def _span(seconds: float) -> str:
    for limit, noun, unit in _SPANS:
        if seconds < limit:
            return plural(int(seconds // unit), noun)
    return plural(max(int(seconds // _YEAR), 1), "year")
