"""A record of JSON: what it holds, what can be wrong with it, and how lines of them are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from extracts.connectors.files.cells import Fraction
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.lines import DAMAGE, MAX_LINE, Lines, LongLineError

BLANK = " \t\r\n"


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


DECODER = json.JSONDecoder(parse_float=Fraction, parse_constant=_no_constant)


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
        if line.strip(BLANK + "\ufeff"):
            yield _of_line(line.rstrip("\r\n"), lines.number)


def _of_line(line: str, number: int) -> Record:
    if DAMAGE in line:
        return Record(number, {}, "the text is not in the encoding of the file", line)
    try:
        value = DECODER.decode(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        return Record(number, {}, f"this is no JSON: {reason(error)}", line)
    return checked(number, value, len(line))


def checked(number: int, value: Any, size: int) -> Record:
    """Return the record of a value, which has to be an object."""
    if isinstance(value, dict):
        return Record(number, value, size=size)
    text = json.dumps(value, ensure_ascii=False)
    return Record(number, {}, "this is no object with a value for each column", text)


def reason(error: Exception) -> str:
    """Say in words what the decoder refused."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return error.msg[:1].lower() + error.msg[1:]
    return "a number is too long" if "digits" in str(error) else str(error)
