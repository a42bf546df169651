"""A heartbeat goes on until its block ends, or until nothing is there to keep."""

from __future__ import annotations

import threading

from django.db import OperationalError

from agnes_site.core.heartbeat import beating


class Beat:
    """Answers as it is told, in turn, and counts how often it was asked."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers, self.count, self.is_over = list(answers), 0, threading.Event()

    def __call__(self) -> bool:
        self.count += 1
        answer = self.answers.pop(0)
        if not self.answers:
            self.is_over.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


class TestBeating:
    def test_outlives_a_database_that_is_busy(self):
        beat = Beat(OperationalError("database is locked"), True, False)

        with beating(beat, every_seconds=0.001):
            assert beat.is_over.wait(10)

        assert beat.count == 3
