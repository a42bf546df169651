"""Values as short texts, as pages show them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from pydantic_core import to_jsonable_python

_UNTOLD = "(cannot be shown)"


def texts(column: Any, *, longest: int) -> list[str | None]:
    """Return the values of an Arrow column, each cut after ``longest`` characters.

    Bytes are hexadecimal, lists and structs are JSON; ``None`` is a value that is missing.
    """
    return [_text(value, longest) for value in _values(column)]


def storable(text: str) -> str:
    """Return ``text`` with a sign for each NUL, which not every database keeps."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def shortened(text: str, longest: int) -> str:
    """Return ``text``, with a sign at its end where it had to be cut."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _values(column: Any) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        # Times that Python has no type for: nanoseconds, years beyond 9999.
        found = _told_by_arrow(column)
    return found


def _told_by_arrow(column: Any) -> list[str | None]:
    try:
        told: list[str | None] = column.cast(pa.string()).to_pylist()
    except pa.ArrowNotImplementedError:  # such times inside of lists and structs
        told = [_UNTOLD if value.is_valid else None for value in column]
    return told


def _text(value: Any, longest: int) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = f"0x{value[:longest].hex()}"
    elif isinstance(value, dict | list):
        plain = to_jsonable_python(value, fallback=str, bytes_mode="base64")
        value = json.dumps(plain, ensure_ascii=False)
    return shortened(storable(str(value)), longest)
