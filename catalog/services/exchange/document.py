"""A document: what somebody says that there is, with the lines where they say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from agnes_site.core.errors import InvalidInputError
from catalog.services.exchange.fields import WrongTypeError, check_text
from catalog.services.exchange.kinds import BY_NAME, Key, Kind, Values

SIZE_LIMIT = 10 * 1000**2


class DocumentInvalidError(InvalidInputError):
    """The document cannot be read at all."""

    code = "import_unreadable"
    hint = "Export first to see what such a document looks like."


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that has to be mended before the document can be imported."""

    message: str
    line: int | None = None
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = ", ".join(
            part for part in (f"line {self.line}" if self.line else "", self.where) if part
        )
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One object of a document; fields that it does not name are not in ``values``."""

    key: Key
    values: Values
    line: int | None = None


@dataclass
class Document:
    """Objects by kind and by their key, in lower case; and what could not be understood."""

    entries: dict[str, dict[Key, Entry]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def begin(self, kind: Kind) -> None:
        """Note that the document speaks of this kind, even if it lists nothing of it."""
        self.entries.setdefault(kind.name, {})

    def add(self, kind: Kind, key: Key, given: Iterable[tuple[str, Any]], *, line: int) -> None:
        """Take an object; what is wrong with it becomes a problem at its line."""
        where = f"{kind.name[:-1]} {kind.said(key)}"
        try:
            check_text("".join(key))
        except WrongTypeError as error:
            self.refuse(f"{error}.", line=line, where=kind.name)
            return
        known = {each.name: each for each in kind.fields}
        values: Values = {}
        for name, value in given:
            if name not in known or name in values:
                twice = f"{name} is there twice."
                said = twice if name in values else unknown(name, known, what="field")
                self.refuse(said, line=line, where=where)
                continue
            try:
                values[name] = known[name].check(value)
            except WrongTypeError as error:
                self.refuse(f"{name}: {error}.", line=line, where=where)
        lowered = tuple(part.lower() for part in key)
        found = self.entries.setdefault(kind.name, {})
        if lowered in found:
            first = found[lowered].line
            self.refuse(f"is here twice; first in line {first}.", line=line, where=where)
            return
        found[lowered] = Entry(key=key, values=values, line=line)

    def refuse(self, message: str, *, line: int | None = None, where: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(message=message, line=line, where=where))


def unknown(name: object, known: Iterable[str], *, what: str) -> str:
    """Return what is said of a name that means nothing, with the nearest one that does."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}."
    return f"there is no {what} {str(name)[:80]!r}{meant}"


def kind_named(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        DocumentInvalidError: there is no such kind.
    """
    if name not in BY_NAME:
        raise DocumentInvalidError(unknown(name, BY_NAME, what="kind").capitalize())
    return BY_NAME[name]
