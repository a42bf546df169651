"""Queries that are composed once and asked many times, with other values each time.

Composing a query of several joins takes Django longer than SQLite takes to answer it. Only for
what every request asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

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
        compiler, sql, places = self._of_this_thread()
        params = [
            place.output_field.get_db_prep_value(values[place.name], connection)
            if isinstance(place, Parameter)
            else place
            for place in places
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return [tuple(row) for row in compiler.results_iter([cursor.fetchall()])]

    def _of_this_thread(self) -> tuple[SQLCompiler, str, tuple[Any, ...]]:
        composed = getattr(self._composed, "query", None)
        if composed is None or composed[0].connection is not connections[DEFAULT_DB_ALIAS]:
            compiler = self._make().query.get_compiler(connection=connections[DEFAULT_DB_ALIAS])
            composed = self._composed.query = (compiler, *compiler.as_sql())
        return composed
