"""Hashing beside the download, so that neither waits for the other."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType

_MOST_BUFFERS = 4


class BackgroundHash:
    """Feeds a hash in a thread of its own, and lends the buffers that the chunks come in.

    When the context ends, all that was given has been hashed.
    """

    def __init__(self, hashed: hashlib._Hash, *, chunk_bytes: int) -> None:
        self._hashed, self._chunk_bytes = hashed, chunk_bytes
        self._made = 0
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> BackgroundHash:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._full.put(None)
        self._thread.join()

    def borrow(self) -> memoryview:
        """Return a buffer to fill; wait when all of them are still being hashed."""
        if self._made < _MOST_BUFFERS and self._free.empty():
            self._made += 1
            return memoryview(bytearray(self._chunk_bytes))
        return self._free.get()

    def update(self, buffer: memoryview, count: int) -> None:
        """Give a buffer back, whose first ``count`` bytes are to be hashed."""
        self._full.put((buffer, count))

    def _work(self) -> None:
        while (item := self._full.get()) is not None:
            buffer, count = item
            self._hashed.update(buffer[:count])
            self._free.put(buffer)
