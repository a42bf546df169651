"""The most memory that processes held, as the kernel counted it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_PAUSE_SECONDS = 0.005
_KIB = 1024


@dataclass
class Held:
    """Resident memory in bytes: when a process was first seen, and at most."""

    first: int
    peak: int


@dataclass
class Watch:
    """What was seen of each process, by its id."""

    seen: dict[int, Held] = field(default_factory=dict)

    def largest(self) -> Held:
        """Return the process that grew most over what it began with."""
        return max(self.seen.values(), key=lambda held: held.peak - held.first)

    def look(self, pids: Iterable[int]) -> None:
        """Take a sample; the kernel keeps the peak between two of them."""
        for pid in pids:
            resident, peak = _resident(pid)
            if peak:
                held = self.seen.setdefault(pid, Held(first=resident, peak=peak))
                held.peak = max(held.peak, peak)


@contextmanager
def watching(pids: Callable[[], Iterable[int]]) -> Iterator[Watch]:
    """Watch the processes that ``pids`` names, asked again and again while the block runs."""
    watch, over = Watch(), threading.Event()

    def sample() -> None:
        while not over.wait(_PAUSE_SECONDS):
            watch.look(pids())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def children(pid: int) -> list[int]:
    """Return the children of a process that are alive."""
    found: list[int] = []
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found += [int(word) for word in file.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended
    return found


def _resident(pid: int) -> tuple[int, int]:
    """Return resident bytes and their peak; zero for a process that is gone."""
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    fields = dict(line.split(":", 1) for line in lines)
    if "VmHWM" not in fields:
        return 0, 0
    return tuple(int(fields[name].split()[0]) * _KIB for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]  # two of them
