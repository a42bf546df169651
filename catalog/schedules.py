"""The grammar of schedules: `every 15m`, `every 6h`, `daily 07:00`, `daily 07:00,19:30` (UTC)."""

from __future__ import annotations

import re

from agnes_site.core.errors import InvalidInputError

_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_GRAMMAR = re.compile(rf"every \d+[mh]|daily {_TIME}(?:,{_TIME})*")


class ScheduleInvalidError(InvalidInputError):
    """The schedule is not understood."""

    code = "schedule_invalid"
    hint = "Write `every 15m`, `every 6h` or `daily 07:00,19:30` (UTC)."


def checked(text: str) -> str:
    """Return a schedule as it is, if it is understood; empty means none.

    Raises:
        ScheduleInvalidError: it is not.
    """
    if text and _GRAMMAR.fullmatch(text) is None:
        raise ScheduleInvalidError(f"{text!r} is not a schedule.")
    return text
