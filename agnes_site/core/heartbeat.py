"""Saying again and again that one is alive, while something else is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import OperationalError, connection

logger = structlog.get_logger(__name__)


@contextmanager
def beating(beat: Callable[[], bool], *, every_seconds: float) -> Iterator[None]:
    """Call ``beat`` in a thread of its own until the block ends, or until it returns false."""
    over = threading.Event()

    def work() -> None:
        try:
            while not over.wait(every_seconds) and _beat(beat):
                pass
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(beat: Callable[[], bool]) -> bool:
    try:
        return beat()
    except OperationalError:
        # A database that is busy or restarting: the next beat may be in time still.
        logger.warning("A heartbeat did not reach the database", exc_info=True)
        connection.close()
        return True
