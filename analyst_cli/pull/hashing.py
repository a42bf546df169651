"""Hashing beside the download, so that neither waits for the other."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType

_MOST_BUFFERS = 8
_FEW_CHUNKS = 16
_Work = tuple["hashlib._Hash", memoryview, int]


class Hasher:
    """A thread that hashes what one other thread downloads, file after file.

    It lends the buffers that the chunks come in, so that they are made once. A file of a few
    chunks is hashed by the thread that downloads it: to hand each chunk over takes as long, and
    other files are downloaded meanwhile.
    """

    def __init__(self, *, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._made = 0
        self._is_small = False
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[_Work | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Hasher:
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

    def begin(self, *, size_bytes: int) -> None:
        """Say how large the next file will be; 0 if nobody knows."""
        self._is_small = 0 < size_bytes <= _FEW_CHUNKS * self._chunk_bytes

    def borrow(self) -> memoryview:
        """Return a buffer to fill; wait when all of them are still being hashed."""
        if self._made < _MOST_BUFFERS and self._free.empty():
            self._made += 1
            return memoryview(bytearray(self._chunk_bytes))
        return self._free.get()

    def update(self, hashed: hashlib._Hash, buffer: memoryview, count: int) -> None:
        """Give a buffer back, whose first ``count`` bytes are to be hashed."""
        if self._is_small:
            self._hash(hashed, buffer, count)
        else:
            self._full.put((hashed, buffer, count))

    def wait(self) -> None:
        """Return when all that was given has been hashed."""
        if self._is_small:
            return
        done = threading.Event()
        self._full.put(done)
        done.wait()

    def _work(self) -> None:
        while (item := self._full.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._hash(*item)

    def _hash(self, hashed: hashlib._Hash, buffer: memoryview, count: int) -> None:
        hashed.update(buffer[:count])
        self._free.put(buffer)
