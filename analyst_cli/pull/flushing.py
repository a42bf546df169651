"""Bringing a file to the disk while the rest of it still comes."""

from __future__ import annotations

import os
import threading

_EVERY_BYTES = 64 << 20
# Without the times of the file, where the operating system can leave them out.
_flush = getattr(os, "fdatasync", os.fsync)


class Flusher:
    """Lets the disk begin early with an open file, so that the end does not wait for all of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def note(self, count: int) -> None:
        """Say that ``count`` bytes were written; now and then the disk is told."""
        self._waiting_bytes += count
        if self._waiting_bytes < _EVERY_BYTES or self._is_busy:
            return
        self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Return when the disk has everything.

        Raises:
            OSError: something of it could not be written, now or earlier.
        """
        self.wait()
        # The kernel tells of a failed write once only, to whoever asks first.
        if self._error is not None:
            raise self._error
        os.fsync(self._descriptor)

    def wait(self) -> None:
        """Return when nobody uses the descriptor here any more, so that it can be closed."""
        if self._thread is not None:
            self._thread.join()

    @property
    def _is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _work(self) -> None:
        try:
            _flush(self._descriptor)
        except OSError as error:
            self._error = error
