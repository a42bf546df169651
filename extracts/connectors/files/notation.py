"""How numbers and times are written in text, as patterns and as SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agnes_site.core.sql import quote_literal, quote_literals
from extracts.connectors.files.table_settings import FilesTable

ZONED = "TIMESTAMP WITH TIME ZONE"

_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = f"{_DATE}[T ]{_TIME}"
_ZONE = r"(Z|[-+][0-9]{2}(:?[0-9]{2})?)"
_WHOLE = "(0|[1-9][0-9]{0,14})"
_EXPONENT = r"([eE][-+]?[0-9]{1,3})?"

# Patterns of values and their types; the first that fits counts. Whole numbers with leading
# zeros or a plus are codes or telephone numbers, and look like none of these.
_PLAIN_NUMBERS = (
    ("BIGINT", f"-?{_WHOLE}", "BIGINT"),
    ("LONG", "-?[1-9][0-9]{15,18}", "BIGINT"),
    ("DOUBLE", rf"-?({_WHOLE}(\.[0-9]*)?|\.[0-9]+){_EXPONENT}", "DOUBLE"),
)
_PLAIN_TIMES = (
    ("DATE", _DATE, "DATE"),
    ("TIMESTAMP", _MOMENT, "TIMESTAMP"),
    (ZONED, f"{_MOMENT}{_ZONE}", ZONED),
)
_ISO = {"DATE": _DATE, "TIMESTAMP": f"{_DATE}([T ]{_TIME})?", ZONED: f"{_MOMENT}{_ZONE}"}
_NUMBER = re.compile(
    r"(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class Notation:
    """How the values of one table are written."""

    decimal_mark: str = "."
    thousands_mark: str = ""
    date_formats: tuple[str, ...] = ()
    timestamp_formats: tuple[str, ...] = ()
    takes_iso: bool = False

    @classmethod
    def of(cls, options: FilesTable) -> Notation:
        """Return what the settings of a table say."""
        return cls(
            decimal_mark=options.decimal_mark,
            thousands_mark=options.thousands_mark,
            date_formats=options.date_formats,
            timestamp_formats=options.timestamp_formats,
        )

    @classmethod
    def of_cells(cls, options: FilesTable) -> Notation:
        """Return what the settings say of values that have types of their own beside texts.

        Their numbers are none of text, and their times are written as ISO 8601 says.
        """
        return cls(
            date_formats=options.date_formats,
            timestamp_formats=options.timestamp_formats,
            takes_iso=True,
        )

    def parsed(self, kind: str, value: str) -> str:
        """Return SQL for the text ``value`` as ``kind``, null if it is none.

        It is empty where text of this type is written as DuckDB itself writes it.
        """
        if _NUMBER.fullmatch(kind) and self._has_own_numbers:
            return self._parsed_number(kind, value)
        formats = self._formats(kind)
        if not formats:
            return ""
        parsed = f"CAST({_strptime(value, formats)} AS {kind})"
        if self.takes_iso:
            return f"coalesce({_if_it_is(_ISO[kind], value, kind)}, {parsed})"
        if kind == "TIMESTAMP" and not self.timestamp_formats:
            return f"coalesce({parsed}, {_if_it_is(_MOMENT, value, kind)})"
        return parsed

    def looks(self, value: str) -> list[tuple[str, str]]:
        """Return each look that a value may have, and SQL that says whether it does."""
        return [
            ("BOOLEAN", _fits(value, "(?i)true|false", "BOOLEAN")),
            *self._number_looks(value),
            *self._time_looks(value),
            ("TIME", _fits(value, _TIME, "TIME")),
        ]

    @property
    def _has_own_numbers(self) -> bool:
        return self.decimal_mark != "." or self.thousands_mark != ""

    def _number_looks(self, value: str) -> list[tuple[str, str]]:
        if not self._has_own_numbers:
            return [(look, _fits(value, form, kind)) for look, form, kind in _PLAIN_NUMBERS]
        plain = self._plain(value)
        return [
            ("BIGINT", f"{_matches(value, self._whole(15))} AND {_can_be(plain, 'BIGINT')}"),
            ("LONG", f"{_matches(value, self._whole(19))} AND {_can_be(plain, 'BIGINT')}"),
            ("DOUBLE", f"{_matches(value, self._fraction(15))} AND {_can_be(plain, 'DOUBLE')}"),
        ]

    def _time_looks(self, value: str) -> list[tuple[str, str]]:
        looks = []
        for look, form, kind in _PLAIN_TIMES:
            formats = self.date_formats if look == "DATE" else self.timestamp_formats
            if not formats:
                looks.append((look, _fits(value, form, kind)))
            elif (look == ZONED) == _has_zone(formats) or look == "DATE":
                looks.append((look, f"{_strptime(value, formats)} IS NOT NULL"))
        return looks

    def _parsed_number(self, kind: str, value: str) -> str:
        is_whole = "INT" in kind
        form = self._whole(40) if is_whole else self._fraction(40)
        number = f"TRY_CAST({self._plain(value)} AS {kind})"
        return f"CASE WHEN {_matches(value, form)} THEN {number} END"

    def _formats(self, kind: str) -> tuple[str, ...]:
        """Return how text of a type is written, nothing where DuckDB's own way is the only one."""
        if kind == "DATE":
            return self.date_formats
        if kind == "TIMESTAMP":
            return (*self.timestamp_formats, *self.date_formats)
        return self.timestamp_formats if kind == ZONED else ()

    def _whole(self, digits: int) -> str:
        mark = _spaces(self.thousands_mark)
        grouped = f"|[1-9][0-9]{{0,2}}({mark}[0-9]{{3}}){{1,{digits // 3}}}" if mark else ""
        return f"-?(0|[1-9][0-9]{{0,{digits - 1}}}{grouped})"

    def _fraction(self, digits: int) -> str:
        mark = re.escape(self.decimal_mark)
        whole = self._whole(digits).removeprefix("-?")
        return f"-?({whole}({mark}[0-9]*)?|{mark}[0-9]+){_EXPONENT}"

    def _plain(self, value: str) -> str:
        """Return SQL for a number as DuckDB writes it."""
        if self.thousands_mark:
            gone = quote_literal(_spaces(self.thousands_mark))
            value = f"regexp_replace({value}, {gone}, '', 'g')"
        if self.decimal_mark != ".":
            value = f"replace({value}, {quote_literal(self.decimal_mark)}, '.')"
        return value


PLAIN = Notation()


def _spaces(mark: str) -> str:
    """Return a pattern for a mark; a space may be one that does not break lines."""
    return "[ \u00a0\u202f]" if mark == " " else re.escape(mark)


def _has_zone(formats: Sequence[str]) -> bool:
    return any("%z" in form or "%Z" in form for form in formats)


def _strptime(value: str, formats: Sequence[str]) -> str:
    return f"try_strptime({value}, {quote_literals(formats)})"


def _matches(value: str, pattern: str) -> str:
    return f"regexp_full_match({value}, {quote_literal(pattern)})"


def _if_it_is(pattern: str, value: str, kind: str) -> str:
    return f"CASE WHEN {_matches(value, pattern)} THEN TRY_CAST({value} AS {kind}) END"


def _can_be(value: str, kind: str) -> str:
    return f"TRY_CAST({value} AS {kind}) IS NOT NULL"


def _fits(value: str, pattern: str, kind: str) -> str:
    return f"{_matches(value, pattern)} AND {_can_be(value, kind)}"
