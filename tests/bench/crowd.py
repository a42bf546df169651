"""People and work that go on side by side until they are told to end."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from math import ceil

from tests.bench.bench import WrongResultError

# What an installation answers when it does not do its work, in the words of those who ask.
_FAILURES = (OSError, HTTPException, WrongResultError, AssertionError)


@dataclass
class Tally:
    """How long each of one kind took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def ms(self, percentile: int) -> float:
        """Return the time within which so many of a hundred were done.

        Raises:
            WrongResultError: none was done.
        """
        if not self.seconds:
            raise WrongResultError(f"None was done; errors: {self.errors[:3]}")
        place = ceil(len(self.seconds) * percentile / 100)
        return sorted(self.seconds)[place - 1] * 1000


class Crowd:
    """Threads that each do one thing again and again; what they do should be light."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def keep(
        self,
        kind: str,
        do: Callable[[], None],
        *,
        every_seconds: float,
        after_seconds: float = 0,
        by_the_clock: bool = False,
    ) -> None:
        """Do something from ``after_seconds`` on, with a pause of ``every_seconds``.

        ``by_the_clock`` it is due every so many seconds, however long the last one took, and its
        time counts from then: what waits behind a slow one is slow, too.
        """
        tally = self.tallies[kind]

        def go_on() -> None:
            due = time.monotonic() + after_seconds
            try:
                while not self._over.wait(max(0, due - time.monotonic())):
                    begun = due if by_the_clock else time.monotonic()
                    _do(do, tally, begun)
                    due = (begun if by_the_clock else time.monotonic()) + every_seconds
            finally:
                if not self._over.is_set():
                    tally.errors.append("It ended by itself.")

        self._threads.append(threading.Thread(target=go_on, daemon=True))

    def run(self, seconds: float) -> None:
        """Let all of them go on for a while; return when each has done its last.

        Raises:
            WrongResultError: one of them does not end.
        """
        for thread in self._threads:
            thread.start()
        time.sleep(seconds)
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=300)
            if thread.is_alive():
                raise WrongResultError("Somebody still waits five minutes after the end.")


def _do(do: Callable[[], None], tally: Tally, begun: float) -> None:
    try:
        do()
    except _FAILURES as error:
        tally.errors.append(f"{type(error).__name__}: {error}")
    else:
        tally.seconds.append(time.monotonic() - begun)
