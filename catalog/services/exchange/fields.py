"""The fields of what is exported and imported: their types, and what an empty one is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

_MOST_NESTED = 100


class WrongTypeError(ValueError):
    """A value is not of the type of its field; the message says what is expected."""


def _is_equal(before: Any, after: Any) -> bool:
    return bool(before == after and type(before) is type(after))


@dataclass(frozen=True)
class Field:
    """One field: ``check`` returns a value as it is kept, ``parse`` reads it from one cell of CSV.

    ``empty`` is what a cell without text means, and what a new object has without the field;
    ``same`` says whether two checked values mean the same. A field that ``is_text`` holds what is
    written, also where that looks like a number.
    """

    name: str
    empty: Any
    check: Callable[[Any], Any]
    parse: Callable[[str], Any]
    same: Callable[[Any, Any], bool] = _is_equal
    is_text: bool = False


def text(name: str, *, empty: str = "") -> Field:
    """Return a field of text."""
    return Field(name, empty, lambda value: _text(value) or empty, lambda cell: cell, is_text=True)


def reference(name: str) -> Field:
    """Return a field with the name of something else, which is found in any case."""
    return Field(
        name, "", _text, lambda cell: cell, same=lambda one, other: one.lower() == other.lower(),
        is_text=True,
    )  # fmt: skip


def flag(name: str) -> Field:
    """Return a field that is true or false."""
    return Field(name, False, _flag, _parsed_flag)


def number(name: str, *, empty: int | None = None) -> Field:
    """Return a field of a whole number, which may be absent when ``empty`` is ``None``."""
    return Field(name, empty, lambda value: _number(value, empty), _parsed_number)


def listing(name: str, *, of_text: bool = False) -> Field:
    """Return a field of a list; in CSV it is JSON."""
    check = _texts if of_text else _list
    return Field(name, [], check, _json)


def references(name: str) -> Field:
    """Return a field with the names of other things, in any order and case; in CSV it is JSON."""
    return Field(name, [], _texts, _json, same=lambda one, other: _lowered(one) == _lowered(other))


def mapping(name: str) -> Field:
    """Return a field of names with values; in CSV it is JSON."""
    return Field(name, {}, _mapping, _json)


def moment(name: str) -> Field:
    """Return a field of a time with its zone, or none."""
    return Field(name, None, _moment, lambda cell: cell)


def _lowered(names: list[str]) -> set[str]:
    return {name.lower() for name in names}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongTypeError("expected a text")
    check_text(value)
    return value


def check_text(value: str) -> None:
    """Make sure that every database and every file can hold ``value``.

    Raises:
        WrongTypeError: it cannot be kept.
    """
    if "\0" in value:
        raise WrongTypeError("a text cannot hold a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise WrongTypeError("a text cannot hold half of a character")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongTypeError("expected true or false")
    return value


def _number(value: Any, empty: int | None) -> int | None:
    if value is None:
        return empty
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongTypeError("expected a whole number")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongTypeError("expected a list")
    _plain(value)
    return value


def _plain(whole: Any) -> None:
    """Refuse what JSON has no word for, such as a date without quotes or `.nan`."""
    waiting = [(whole, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MOST_NESTED:
            raise WrongTypeError("it is nested too deeply")
        if isinstance(value, str):
            check_text(value)
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise WrongTypeError("names that look like numbers or dates need quotes here")
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif not (value is None or isinstance(value, int) or _is_finite(value)):
            raise WrongTypeError("dates and the like need quotes here")


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _texts(value: Any) -> list[str]:
    found = _list(value)
    if not all(isinstance(each, str) for each in found):
        raise WrongTypeError("expected a list of texts")
    return found


def _mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise WrongTypeError("expected names with values")
    _plain(value)
    return value


def _moment(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = parse_datetime(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise WrongTypeError("expected a time such as 2027-01-31T18:00:00+00:00")
    aware = value if timezone.is_aware(value) else timezone.make_aware(value)
    try:
        return aware.astimezone(UTC).isoformat()
    except OverflowError:
        raise WrongTypeError("expected a time of this age") from None


def _parsed_flag(cell: str) -> bool:
    known = {"true": True, "false": False}
    if cell.lower() not in known:
        raise WrongTypeError("expected true or false")
    return known[cell.lower()]


def _parsed_number(cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise WrongTypeError("expected a whole number") from None


def _json(cell: str) -> Any:
    try:
        return json.loads(cell, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise WrongTypeError("expected JSON") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def as_moment(value: str | None) -> datetime | None:
    """Return the time of a checked field of :func:`moment`."""
    return datetime.fromisoformat(value) if value else None
