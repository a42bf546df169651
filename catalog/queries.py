"""Let the engine of a source judge a query before it is saved; a higher app knows how to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog.connectors import QueryMode
from catalog.models import Source, Table

Checker = Callable[[Source, str], None]

_checkers: list[Checker] = []


def use(checker: Checker) -> None:
    """Ask ``checker`` about queries; it raises what is wrong with one."""
    if checker not in _checkers:
        _checkers.append(checker)


def check(*, source: Source, fields: Mapping[str, Any], table: Table | None = None) -> None:
    """Have the query of a materialized table checked where ``fields`` would change it.

    It waits for the source, so it is called before a transaction begins.

    Raises:
        AgnesError: the source refuses the query or cannot be asked; the message says why.
    """
    before = (table.query_mode, table.source_query) if table else (QueryMode.LOCAL, "")
    mode = fields.get("query_mode", before[0])
    query = fields.get("source_query", before[1]) or ""
    if mode != QueryMode.MATERIALIZED or not query.strip() or (mode, query) == before:
        return
    for checker in _checkers:
        checker(source, query)
