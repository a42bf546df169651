"""All downloads of a pull, several at a time."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass, field

from analyst_cli import environment
from analyst_cli.client import AgnesClient
from analyst_cli.errors import CliError, NotSignedInError
from analyst_cli.files import DiskFullError, explain
from analyst_cli.interrupts import import_whole
from analyst_cli.pull import verify
from analyst_cli.pull.download import CancelledError, Means, fetch
from analyst_cli.pull.hashing import Hasher
from analyst_cli.pull.plan import Download
from analyst_cli.pull.progress import Reporter


@dataclass(kw_only=True)
class Fetched:
    """What came of the downloads: errors by path of the file, and the bytes that moved."""

    errors: dict[str, CliError] = field(default_factory=dict)
    bytes_downloaded: int = 0


def fetch_all(client: AgnesClient, downloads: list[Download], *, reporter: Reporter) -> Fetched:
    """Download to staging. One that fails does not stop the others.

    Raises:
        NotSignedInError: the token was refused, which ends all of them.
    """
    crew = _Crew(client, downloads, reporter)
    count = min(environment.pull_parallelism(), len(downloads))
    # Daemons: on Ctrl-C nobody waits for a server that is slow to answer.
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        # What comes after the downloads needs DuckDB, which takes a while to import.
        import_whole("analyst_cli.pull.database")
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    finally:
        crew.cancelled.set()
    if crew.fatal is not None:
        raise crew.fatal
    for left in crew.waiting:
        reason = crew.stopped_by or CancelledError("The pull has ended.")
        crew.result.errors[left.file.path] = reason
    return crew.result


class _Crew:
    """What the threads share."""

    def __init__(self, client: AgnesClient, downloads: list[Download], reporter: Reporter) -> None:
        self.waiting = deque(downloads)
        self.result = Fetched()
        self.cancelled = threading.Event()
        self.fatal: BaseException | None = None
        self.stopped_by: CliError | None = None
        self._client, self._reporter, self._lock = client, reporter, threading.Lock()

    def work(self) -> None:
        """Take downloads until there are none. What was not foreseen ends the pull."""
        with (
            contextlib.closing(self._client.another()) as client,
            Hasher(chunk_bytes=verify.CHUNK_BYTES) as hasher,
        ):
            means = Means(
                client=client, hasher=hasher, reporter=self._reporter, cancelled=self.cancelled
            )
            while not self.cancelled.is_set():
                try:
                    download = self.waiting.popleft()
                except IndexError:
                    return
                try:
                    self._take(download, means)
                except BaseException as error:  # noqa: BLE001 it is raised again by the main thread
                    self.fatal = error
                    self.cancelled.set()

    def _take(self, download: Download, means: Means) -> None:
        try:
            count = fetch(download, means)
        except NotSignedInError:
            raise
        except CliError as error:
            self.result.errors[download.file.path] = error
        except OSError as error:
            explained = explain(error)
            self.result.errors[download.file.path] = explained
            if isinstance(explained, DiskFullError):
                self.stopped_by = explained
                self.cancelled.set()
        else:
            with self._lock:
                self.result.bytes_downloaded += count
