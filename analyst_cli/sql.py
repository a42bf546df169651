"""The only way by which foreign names and values reach SQL text in the client."""

from __future__ import annotations

from collections.abc import Iterable


def quote_identifier(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier.

    Raises:
        ValueError: the name is empty or holds a NUL character.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be a name in SQL.")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return ``text`` as a quoted SQL string.

    Raises:
        ValueError: the text holds a NUL character.
    """
    if "\0" in text:
        raise ValueError("A text with a NUL character cannot be written in SQL.")
    return "'" + text.replace("'", "''") + "'"


def quote_literals(texts: Iterable[str]) -> str:
    """Return ``texts`` as an SQL list of strings: ``['a', 'b']``."""
    return "[" + ", ".join(quote_literal(text) for text in texts) + "]"
