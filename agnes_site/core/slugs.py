"""One name for one thing: the slugging function and its collision rule."""

from __future__ import annotations

import re
from collections.abc import Collection
from unicodedata import normalize

from anyascii import anyascii

MAX_LENGTH = 64
_SLUG = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# One letter, which is written in another way at the end of a word.
_SIGMA, _FINAL_SIGMA = "\N{GREEK SMALL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}"

# Names that a file system or DuckDB gives a meaning of its own, compared in lower case.
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))]
)


def is_slug(name: str) -> bool:
    """Say whether ``name`` is a letter or ``_``, then up to 63 of ``[A-Za-z0-9_]``."""
    return _SLUG.fullmatch(name) is not None and name.lower() not in _RESERVED


def slug(name: str, *, taken: Collection[str] = ()) -> str:
    """Return the slug of ``name``: itself where possible, else transliterated.

    ``taken`` holds names in lower case, since names are compared without case. The result
    never is one of them: a collision is resolved with ``_2``, ``_3`` and so on.
    """
    base = name if is_slug(name) else _transliterated(name)
    if base.lower() not in taken:
        return base
    number = 2
    while True:
        ending = f"_{number}"
        candidate = base[: MAX_LENGTH - len(ending)] + ending
        if candidate.lower() not in taken:
            return candidate
        number += 1


def kept(name: str) -> str:
    """Return ``name`` as it can be kept: its accents in one piece, no sign that is no text."""
    text = name.replace("\0", "\ufffd").encode(errors="replace").decode()
    return normalize("NFC", text)


def folded(name: str) -> str:
    """Return what all spellings of a name share: those in any case, accents in one piece or two."""
    small = normalize("NFD", kept(name)).lower()
    return normalize("NFC", small.replace(_FINAL_SIGMA, _SIGMA))


def _transliterated(name: str) -> str:
    text = re.sub(r"[^a-z0-9]+", "_", anyascii(kept(name)).lower()).strip("_")
    if not text:
        text = "unnamed"
    if text[0].isdigit() or text in _RESERVED:
        text = "t_" + text
    return text[:MAX_LENGTH]
