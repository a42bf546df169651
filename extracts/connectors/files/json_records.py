"""The records of a JSON file, one at a time: of lines of JSON, or of one list in a document."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from extracts.connectors.files.cells import Fraction
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.lines import DAMAGE, MAX_LINE, Lines, LongLineError

MAX_VALUE = 16_000_000
_PIECE = 256 * 1024
# Signs that may stand between a whole number and its other digits: 1e+5.
_LEFT_OF_NUMBER = 3
# Nothing that JSON knows is longer, but texts: what ends further from the end is whole.
_LONGEST_WORD = 16
_BLANK = " \t\r\n"


class NotJsonError(FileUnusableError):
    """A file with the name of a JSON file is something else, or has no list of rows."""

    code = "json_unusable"
    hint = "Replace the file by one of JSON; check format and records_path in the settings."


class Record(NamedTuple):
    """One record with its number; with a ``problem`` it cannot be used."""

    number: int
    values: dict[str, Any]
    problem: str = ""
    text: str = ""
    size: int = 0


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Fraction, parse_constant=_no_constant)


def line_records(lines: Lines) -> Iterator[Record]:
    """Yield the records of a file that has one in each line; blank lines do not count."""
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except LongLineError:
            problem = f"the line is longer than {MAX_LINE:,} characters"
            yield Record(lines.number, {}, problem, lines.record[-1])
            continue
        if line.strip(_BLANK + "\ufeff"):
            yield _of_line(line.rstrip("\r\n"), lines.number)


def _of_line(line: str, number: int) -> Record:
    if DAMAGE in line:
        return Record(number, {}, "the text is not in the encoding of the file", line)
    try:
        value = _DECODER.decode(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        return Record(number, {}, f"this is no JSON: {_reason(error)}", line)
    return _checked(number, value, len(line))


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
        yield _checked(number, value, document.length)
    document.end()


def _checked(number: int, value: Any, size: int) -> Record:
    if isinstance(value, dict):
        return Record(number, value, size=size)
    text = json.dumps(value, ensure_ascii=False)
    return Record(number, {}, "this is no object with a value for each column", text)


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
            while self._at < len(self._held) and self._held[self._at] in _BLANK + "\ufeff":
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
                value, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if not _may_be_cut(error, len(self._held)) or not self._fill():
                    self._fail(_reason(error), error)
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
        piece = self._text.read(max(_PIECE, len(self._held) - self._at))
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


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return error.msg[:1].lower() + error.msg[1:]
    return "a number is too long" if "digits" in str(error) else str(error)
