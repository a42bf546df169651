"""Taking secrets out of texts: what another system says in an error may repeat what it was sent."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# A shorter one is only taken out where it stands alone: it is a part of many words.
_SHORT = 6
_SHORTEST_LINE = 8


class Scrubber:
    """Replaces secrets in texts, also as they are written in addresses, SQL, JSON and headers."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        # The longest first: one may be a part of another.
        patterns = [_pattern(form) for form in sorted(forms, key=len, reverse=True)]
        self._found = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """Return ``text`` with every secret masked."""
        return self._found.sub(MASK, text) if self._found else text

    def value(self, value: Any) -> Any:
        """Return ``value`` with the secrets masked in every text that is in it."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(inner) for inner in value]
        return self.text(str(value))


class ScrubbingFormatter(logging.Formatter):
    """Formats a line as another formatter does, and masks the secrets in all of it."""

    def __init__(self, inner: logging.Formatter, scrubber: Scrubber) -> None:
        super().__init__()
        self._inner = inner
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, its traceback included."""
        return self._scrubber.text(self._inner.format(record))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    lines = [line.strip() for line in secret.splitlines()]
    yield from (line for line in lines if len(line) >= _SHORTEST_LINE)
    yield quote(secret, safe="", errors="replace")
    yield quote(secret, errors="replace")
    yield quote_plus(secret, errors="replace")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield secret.replace("'", "''")
    yield secret.replace('"', '""')
    yield secret.replace("\\", "\\\\").replace("'", "\\'")
    yield from _in_base64(secret.encode(errors="replace"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 makes of a secret, alone or after a name as in a header."""
    yield base64.b64encode(secret).decode().rstrip("=")
    for before in range(3):
        # Groups of three bytes that are of the secret alone.
        own = secret[-before % 3 :]
        inside = base64.b64encode(own[: len(own) // 3 * 3]).decode()
        if len(inside) >= _SHORTEST_LINE:
            yield inside


def _pattern(form: str) -> str:
    if len(form) >= _SHORT:
        return re.escape(form)
    return rf"(?<!\w){re.escape(form)}(?!\w)"
