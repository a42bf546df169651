"""The fields of what is exported and imported: their types, and what an empty one is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime


class WrongTypeError(ValueError):
    """A value is not of the type of its field; the message says what is expected."""


@dataclass(frozen=True)
class Field:
    """One field: ``check`` returns a value as it is kept, ``parse`` reads it from one cell of CSV.

    ``empty`` is what a cell without text means, and what a new object has without the field.
    """

    name: str
    empty: Any
    check: Callable[[Any], Any]
    parse: Callable[[str], Any]


def text(name: str) -> Field:
    """Return a field of text."""
    return Field(name, "", _text, lambda cell: cell)


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


def mapping(name: str) -> Field:
    """Return a field of names with values; in CSV it is JSON."""
    return Field(name, {}, _mapping, _json)


def moment(name: str) -> Field:
    """Return a field of a time with its zone, or none."""
    return Field(name, None, _moment, lambda cell: cell)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, date)):
        raise WrongTypeError("expected a text")
    if isinstance(value, str) and "\0" in value:
        raise WrongTypeError("a text cannot hold a NUL character")
    return str(value)


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


def _plain(value: Any) -> None:
    """Refuse what JSON has no word for, such as a date without quotes or `.nan`."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise WrongTypeError("dates and the like need quotes here") from None


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
    return (value if timezone.is_aware(value) else timezone.make_aware(value)).isoformat()


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
    except ValueError:
        raise WrongTypeError("expected JSON") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def as_moment(value: str | None) -> datetime | None:
    """Return the time of a checked field of :func:`moment`."""
    return datetime.fromisoformat(value) if value else None
