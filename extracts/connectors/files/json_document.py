"""The records of one list in a document of JSON, of which one value at a time is in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from extracts.connectors.files.json_records import (
    BLANK,
    DECODER,
    NotJsonError,
    Record,
    checked,
    reason,
)
from extracts.connectors.files.lines import DAMAGE

MAX_VALUE = 16_000_000
PIECE_LETTERS = 256 * 1024
# Signs that may stand between a whole number and its other digits: 1e+5.
_LEFT_OF_NUMBER = 3
# Nothing that JSON knows is longer, but texts: what ends further from the end is whole.
_LONGEST_WORD = 16


def document_records(text: io.TextIOBase, *, name: str, path: str) -> Iterator[Record]:
    """Yield the records of the list at ``path``, or of the only list of objects there is.

    A document without one is a record itself, and so is each that follows it.

    Raises:
        NotJsonError: this is no JSON, or there is no such list, or there are several.
    """
    document = _Document(text, name)
    steps = [step for step in path.split(".") if step]
    document.begin()
    found = document.elements() if document.peek() == "[" and not steps else document.find(steps)
    for number, value in enumerate(found, start=1):
        document.row = number + 1
        yield checked(number, value, document.length)
    document.end()


class _Document:
    """A document of JSON of which no more than one value is in memory."""

    def __init__(self, text: io.TextIOBase, name: str) -> None:
        self._text = text
        self._name = name
        self._held = ""
        self._at = 0
        self._is_over = False
        self._has_list = False
        self.row = 1
        self.length = 0

    def begin(self) -> None:
        """Make sure that a list or an object begins here."""
        first = self.peek()
        if not first:
            raise NotJsonError(f"{self._name} holds nothing but blanks.")
        if first not in "[{":
            self._fail("a document begins with [ or {")

    def peek(self) -> str:
        """Return the next sign that is not blank, nothing at the end."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in BLANK + "\ufeff":
                self._at += 1
            if self._at < len(self._held) or not self._fill():
                return self._held[self._at : self._at + 1]

    def elements(self) -> Iterator[Any]:
        """Yield the elements of the list that begins here."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self.peek() != ",":
                self._take("]")
                return
            self._take(",")

    def find(self, steps: Sequence[str]) -> Iterator[Any]:
        """Yield the elements of the list at ``steps``, or of the only one, else the documents."""
        if steps:
            yield from self._at_path(steps)
            return
        while self.peek() == "{" and not self._has_list:
            yield from self._only_list()

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            raise self._error(
                "something follows the end of the document",
                hint="If each line of the file is a row, set format to ndjson in the settings.",
            )

    def _at_path(self, steps: Sequence[str]) -> Iterator[Any]:
        is_found = False
        for key in self._members():
            if key != steps[0]:
                self._value()
            elif len(steps) > 1:
                is_found = True
                yield from self._at_path(steps[1:])
            else:
                is_found = True
                yield from self.elements()
        if not is_found:
            raise NotJsonError(
                f"{self._name} has nothing at {steps[0]!r}.",
                hint="Correct records_path in the settings of the table, such as data.items.",
            )

    def _only_list(self) -> Iterator[Any]:
        members: dict[str, Any] = {}
        for key in self._members():
            if self.peek() != "[":
                members[key] = self._value()
                continue
            rows = self.elements()
            first = next(rows, None)
            if not isinstance(first, dict):
                members[key] = [] if first is None else [first, *rows]
                continue
            if self._has_list:
                raise NotJsonError(
                    f"{self._name} holds several lists of rows, {key!r} among them.",
                    hint="Say which one by records_path in the settings of the table; if each "
                    "line of the file is a row, set format to ndjson.",
                )
            self._has_list = True
            yield first
            yield from rows
        if not self._has_list:
            yield members

    def _members(self) -> Iterator[str]:
        """Yield each key of the object that begins here; the caller takes its value."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            key = self._value() if self.peek() == '"' else self._fail("a name is missing")
            self._take(":")
            yield key
            if self.peek() != ",":
                self._take("}")
                return
            self._take(",")

    def _take(self, sign: str) -> None:
        if self.peek() != sign:
            self._fail(f"{sign!r} is missing")
        self._at += 1

    def _value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if not _may_be_cut(error, len(self._held)) or not self._fill():
                    self._fail(reason(error), error)
                continue
            # A number may go on in the next piece, behind its point or exponent.
            if len(self._held) - end >= _LEFT_OF_NUMBER or not self._fill():
                self._check_damage(end)
                self.length = end - self._at
                self._at = end
                return value

    def _check_damage(self, end: int) -> None:
        if self._held.find(DAMAGE, self._at, end) >= 0:
            self._fail("the text is not in the encoding of the file")

    def _fill(self) -> bool:
        """Read on; say whether there was more."""
        if self._is_over:
            return False
        if len(self._held) - self._at > MAX_VALUE:
            self._fail(f"a value is longer than {MAX_VALUE:,} characters, or has no end")
        piece = self._text.read(max(PIECE_LETTERS, len(self._held) - self._at))
        if piece:
            self._held = self._held[self._at :] + piece
            self._at = 0
        self._is_over = not piece
        return bool(piece)

    def _fail(self, what: str, cause: Exception | None = None) -> NoReturn:
        raise self._error(what) from cause

    def _error(self, what: str, *, hint: str | None = None) -> NotJsonError:
        return NotJsonError(
            f"{self._name}, row {self.row}: this is no JSON: {what}.",
            hint=hint,
            file=self._name,
            row=self.row,
        )


def _may_be_cut(error: Exception, length: int) -> bool:
    """Say whether what was held of a document ended too early, and is not wrong by itself."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos + _LONGEST_WORD > length
