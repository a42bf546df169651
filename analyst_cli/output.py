"""Text for people: tables, sizes, and a hint for what comes next."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

_MAX_CELL = 200
_GAP = "  "


def human_bytes(count: float) -> str:
    """Return a size as people read it: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def terminal_width() -> int | None:
    """Return the width of the terminal that stdout is; ``None`` if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int | None = None
) -> str:
    """Return rows as aligned text; one record below the other where ``width`` is too small."""
    shown = [[cell(value) for value in row] for row in rows]
    heads = [cell(column) for column in columns]
    widths = [
        max([_width(head), *(_width(row[index]) for row in shown)])
        for index, head in enumerate(heads)
    ]
    total = sum(widths) + len(_GAP) * (len(widths) - 1)
    if width is not None and total > width and len(columns) > 1:
        return _records(heads, shown)
    is_number = [
        bool(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        for i in range(len(heads))
    ]
    lines = [heads, ["-" * each for each in widths], *shown]
    return "\n".join(
        _GAP.join(
            _pad(text, wide, is_right=right)
            for text, wide, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    )


def cell(value: Any) -> str:
    """Return one value on one line, without anything that could steer a terminal."""
    text = "" if value is None else str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."


def _records(heads: list[str], rows: list[list[str]]) -> str:
    wide = max(_width(head) for head in heads)
    records = []
    for number, row in enumerate(rows, start=1):
        lines = [f"-- {number} --"]
        lines += [f"{_pad(h, wide, is_right=False)}  {v}" for h, v in zip(heads, row, strict=True)]
        records.append("\n".join(lines))
    return "\n".join(records)


def _pad(text: str, wide: int, *, is_right: bool) -> str:
    space = " " * (wide - _width(text))
    return space + text if is_right else text + space


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
