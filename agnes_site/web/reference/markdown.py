"""Pieces of Markdown that every generated page uses."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by `make docs`; change the code instead. -->"


def document(title: str, *blocks: str) -> str:
    """Return a whole page: its title, then the blocks, an empty line between them."""
    return "\n\n".join([GENERATED, f"# {title}", *(block for block in blocks if block)]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing when it has no rows."""
    lines = [_row(row) for row in rows]
    if not lines:
        return ""
    return "\n".join([_row(header), _row(["---"] * len(header)), *lines])


def code(text: object) -> str:
    """Return a short text as code; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def fenced(text: str, *, language: str = "") -> str:
    """Return several lines as code."""
    return f"```{language}\n{text.rstrip()}\n```"


def docstring(thing: object) -> str:
    """Return the docstring of ``thing`` as Markdown, nothing where it has none."""
    return paragraph(inspect.getdoc(thing) or "")


def paragraph(text: str) -> str:
    """Return the text of a docstring as Markdown: single lines, paragraphs kept apart."""
    parts = text.replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts).strip()


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
