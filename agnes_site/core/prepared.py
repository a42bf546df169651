"""Queries that are composed once and asked many times, with other values each time.

Composing a query of several joins takes Django longer than SQLite takes to answer it. Only for
what every request asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Expression, Field, QuerySet
from django.db.models.sql.compiler import SQLCompiler


class Parameter(Expression):
    """A value of a prepared query that is given when it is asked."""

    def __init__(self, name: str, output_field: Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, list[Any]]:
        """Leave a place for the value."""
        return "%s", [self]


class PreparedQuery:
    """The query that ``make`` returns: a ``values_list`` with ``Parameter`` in its conditions."""

    def __init__(self, make: Callable[[], QuerySet[Any, Any]]) -> None:
        self._make = make
        # A compiler belongs to the connection of its thread.
        self._composed = threading.local()

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Ask it with a value for each parameter."""
        query = self._of_this_thread()
        params = [
            place.output_field.get_db_prep_value(values[place.name], connection)
            if isinstance(place, Parameter)
            else place
            for place in query.places
        ]
        with connection.cursor() as cursor:
            cursor.execute(query.sql, params)
            rows = cursor.fetchall()
        if not query.converters:
            return list(rows)
        return [tuple(row) for row in query.compiler.apply_converters(rows, query.converters)]

    def _of_this_thread(self) -> _Composed:
        composed: _Composed | None = getattr(self._composed, "query", None)
        if composed is None or composed.compiler.connection is not connections[DEFAULT_DB_ALIAS]:
            composed = self._composed.query = _compose(self._make())
        return composed


class _Composed(NamedTuple):
    """What asks a query on one connection, and makes Python of the answers."""

    compiler: SQLCompiler
    sql: str
    places: tuple[Any, ...]
    converters: dict[int, Any]


def _compose(queryset: QuerySet[Any, Any]) -> _Composed:
    compiler = queryset.query.get_compiler(connection=connections[DEFAULT_DB_ALIAS])
    sql, places = compiler.as_sql()
    # Known only once the SQL is made.
    selected = [expression for expression, _, _ in (compiler.select or [])]
    return _Composed(compiler, sql, tuple(places), compiler.get_converters(selected))
