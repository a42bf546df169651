"""How a pull says where it is: bars on a terminal, a line per file elsewhere, or nothing."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import TaskID


class Reporter(Protocol):
    """Told by a pull what happens; called from several threads."""

    def __enter__(self) -> Reporter: ...

    def __exit__(self, *raised: object) -> None: ...

    def note(self, message: str) -> None:
        """Say something that is neither progress nor an error."""

    def begin(self, name: str, *, size_bytes: int, done_bytes: int) -> None:
        """Say that a file is being downloaded, and how much of it was there already."""

    def advance(self, name: str, *, done_bytes: int) -> None:
        """Say how much of a file is there now."""

    def end(self, name: str, *, size_bytes: int, is_good: bool) -> None:
        """Say that a file is whole and verified, or that it failed."""


class Silent:
    """Reports nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    def note(self, message: str) -> None:
        """Say nothing."""

    def begin(self, name: str, *, size_bytes: int, done_bytes: int) -> None:
        """Say nothing."""

    def advance(self, name: str, *, done_bytes: int) -> None:
        """Say nothing."""

    def end(self, name: str, *, size_bytes: int, is_good: bool) -> None:
        """Say nothing."""


class _Ending(Silent):
    """Reports until its end: downloads go on to that of the process, which has the last word."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._is_over = True

    def note(self, message: str) -> None:
        """Write the message."""
        click.echo(message, err=True)


class Lines(_Ending):
    """Writes a line to stderr for each file that is done."""

    def end(self, name: str, *, size_bytes: int, is_good: bool) -> None:
        """Write the line of a good file; errors are printed at the end."""
        if is_good:
            from analyst_cli.output import human_bytes

            with self._lock:
                if not self._is_over:
                    click.echo(f"{name}  {human_bytes(size_bytes)}", err=True)


class Bars(_Ending):
    """Draws a bar per file on the terminal."""

    def __init__(self) -> None:
        super().__init__()
        # A pull that has nothing to draw does not pay for the import of rich.
        self._drawn: _Drawn | None = None

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        if self._drawn is not None:
            self._drawn.stop()

    def begin(self, name: str, *, size_bytes: int, done_bytes: int) -> None:
        """Add a bar."""
        with self._lock:
            if self._is_over:
                return
            if self._drawn is None:
                self._drawn = _Drawn()
        self._drawn.add(name, size_bytes=size_bytes, done_bytes=done_bytes)

    def advance(self, name: str, *, done_bytes: int) -> None:
        """Move the bar."""
        if self._drawn is not None and not self._is_over:
            self._drawn.move(name, done_bytes=done_bytes)

    def end(self, name: str, *, size_bytes: int, is_good: bool) -> None:
        """Fill the bar, or mark it."""
        if self._drawn is not None and not self._is_over:
            self._drawn.finish(name, is_good=is_good)


class _Drawn:
    """The bars of rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TransferSpeedColumn as Speed

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(), DownloadColumn(), Speed(),
            console=Console(stderr=True),
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def add(self, name: str, *, size_bytes: int, done_bytes: int) -> None:
        """Add a bar, or set one back that is tried again."""
        self._tasks[name] = self._progress.add_task(
            name, total=size_bytes or None, completed=done_bytes
        )

    def move(self, name: str, *, done_bytes: int) -> None:
        """Set how far a bar is."""
        self._progress.update(self._tasks[name], completed=done_bytes)

    def finish(self, name: str, *, is_good: bool) -> None:
        """Stop a bar, and name what failed."""
        if not is_good:
            self._progress.update(self._tasks[name], description=f"{name} (failed)")
        self._progress.stop_task(self._tasks[name])

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()


def reporter(*, is_quiet: bool) -> Reporter:
    """Return what fits the terminal."""
    if is_quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
