"""Values that have types of their own, as JSON and workbooks have: what they look like, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from extracts.connectors.files.notation import ZONED
from extracts.connectors.files.text_types import guessed_kind

_TIME = r"\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?"
_MOMENT = re.compile(
    rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:[T ](?P<time>{_TIME})(?P<zone>Z|[-+]\d\d(?::?\d\d)?)?)?", re.A
)
_SHORT = 10**15
_LONG = 2**63


class Fraction(float):
    """A number of JSON that is no whole one, with the text that stood there."""

    text: str

    def __new__(cls, text: str) -> Fraction:
        self = super().__new__(cls, text)
        self.text = text
        return self


class Looks:
    """What the values of each column look like, gathered while they pass by."""

    def __init__(self) -> None:
        self._found: dict[str, set[str]] = {}

    @property
    def names(self) -> list[str]:
        """The columns in the order in which they were met."""
        return list(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take note of one row."""
        for name, value in row.items():
            found = self._found.get(name)
            if found is None:
                found = self._found[name] = set()
            if value is None:
                continue
            if type(value) is not str:
                found.add(_look(value))
            elif "VARCHAR" not in found:
                found.add(_look_of_text(value))

    def kind(self, name: str) -> str:
        """Return the type of a column."""
        found = frozenset(self._found[name])
        if "JSON" in found:
            return "JSON"
        return guessed_kind(found)


def text_of(value: Any, *, kind: str) -> str | None:
    """Return a value as the text that a column of type ``kind`` is cast from."""
    if value is None:
        return None
    if kind == "JSON" or isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        return value.text
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, timedelta):
        return _duration(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _look(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        if -_SHORT < value < _SHORT:
            return "BIGINT"
        return "LONG" if -_LONG <= value < _LONG else "VARCHAR"
    if isinstance(value, float):
        return "DOUBLE"
    return next((look for kind, look in _LOOKS if isinstance(value, kind)), "VARCHAR")


# A point in time is a date as well: the order matters.
_LOOKS: Sequence[tuple[Any, str]] = (
    (dict | list, "JSON"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (time, "TIME"),
)


def _look_of_text(text: str) -> str:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return "VARCHAR"
    try:
        date.fromisoformat(found["date"])
        if found["time"]:
            time.fromisoformat(found["time"].partition(".")[0])
    except ValueError:
        return "VARCHAR"
    if found["zone"]:
        return ZONED
    return "TIMESTAMP" if found["time"] else "DATE"


def _duration(length: timedelta) -> str:
    """Return a length of time as workbooks show it: hours, minutes and seconds."""
    sign = "-" if length < timedelta(0) else ""
    seconds, micros = divmod(abs(length) // timedelta(microseconds=1), 10**6)
    minutes, seconds = divmod(seconds, 60)
    rest = f".{micros:06}".rstrip("0") if micros else ""
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{seconds:02}{rest}"
