"""The clock that rings for upkeep; it goes on when the clock of the machine is put back."""

from __future__ import annotations

import time
from typing import Any

from celery.beat import Scheduler as CeleryScheduler

# What the two clocks may differ by from one look to the next: neither is read at one moment.
_TOLERANCE_SECONDS = 1.0


class Scheduler(CeleryScheduler):
    """Celery's, which would wait until the old time has come again."""

    _offset: float | None = None

    def tick(self, *args: Any, **options: Any) -> float:
        """Ring for what is due; return the seconds until the next look."""
        offset = time.time() - time.monotonic()
        if self._offset is not None and offset < self._offset - _TOLERANCE_SECONDS:
            for entry in (self.schedule or {}).values():
                entry.last_run_at = entry.default_now()
            # Celery makes it anew from these.
            self._heap = None
        self._offset = offset
        seconds: float = super().tick(*args, **options)  # type: ignore[no-untyped-call] # no types
        return seconds
