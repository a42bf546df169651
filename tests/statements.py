"""What a test does in the midst of the statements of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def after_statement(beginning: str, then: Callable[[], object]) -> Iterator[None]:
    """Do something after each statement of this thread that begins in this way."""

    def watch(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if sql.startswith(beginning):
            then()
        return answer

    with connection.execute_wrapper(watch):
        yield
