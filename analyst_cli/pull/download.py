"""One file from the server to the staging folder: resumed, retried and verified."""

from __future__ import annotations

import os
import random
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from analyst_cli import environment
from analyst_cli.client import AgnesClient
from analyst_cli.errors import ApiError, CliError, TransportError
from analyst_cli.failpoints import failpoint
from analyst_cli.pull import verify
from analyst_cli.pull.flushing import Flusher
from analyst_cli.pull.hashing import Hasher
from analyst_cli.pull.plan import Download
from analyst_cli.pull.progress import Reporter
from analyst_cli.transport import CertificateError, RedirectError, Response

_PAUSES_SECONDS = (0.3, 1.0, 3.0)
_MAX_PAUSE_SECONDS = 60.0
_REAL_PROGRESS_BYTES = 1 << 20
# Linux takes larger pieces of memory for larger writes, and longer to find them than they save.
_WRITE_BYTES = 32 << 10
_AGAIN = (408, 425, 429)
_PATIENCE_HINT = "The copy you have was kept. Run `agnes pull` again."


class DamagedDownloadError(CliError):
    """What the server sent is not what its manifest promised, each time it was asked.

    ``found`` is the SHA-256 of what came, where as much came as was promised.
    """

    code = "hash_mismatch"
    hint = f"{_PATIENCE_HINT} If it stays like this, tell the administrator."
    found = ""


class NotParquetError(CliError):
    """Something other than the file came back."""

    code = "not_a_parquet_file"
    hint = f"{_PATIENCE_HINT} A proxy, a login page or a captive portal may be in between."


class CancelledError(CliError):
    """The pull is ending; this file was left where it is."""

    code = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Means:
    """What one thread that downloads works with."""

    client: AgnesClient
    hasher: Hasher
    reporter: Reporter
    cancelled: threading.Event


def fetch(download: Download, means: Means) -> int:
    """Bring one file to its staging path, durable and verified; return the bytes that came.

    What an earlier attempt or run has left is continued. Ends early when it is cancelled.

    Raises:
        DamagedDownloadError, NotParquetError: the content is wrong; nothing of it is kept.
        ApiError, TransportError: the server did not send it, after all retries.
        CancelledError: the pull is ending.
    """
    reporter = means.reporter
    download.staged.parent.mkdir(parents=True, exist_ok=True)
    with _Staged(download) as staged:
        was_resumed = staged.size_bytes > 0
        name, expected = download.file.path, download.file.size_bytes
        reporter.begin(name, size_bytes=expected, done_bytes=staged.size_bytes)
        means.hasher.begin(size_bytes=expected)
        is_good = False
        try:
            _transfer_until_right(staged, means, was_resumed=was_resumed)
            staged.sync()
            failpoint("pull.part_downloaded")
            staged.verify()
            is_good = True
            failpoint("pull.part_verified")
        finally:
            reporter.end(name, size_bytes=staged.size_bytes, is_good=is_good)
        return staged.received_bytes


class _Staged:
    """The staging file of one download and the ``hash`` of what is in it."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.received_bytes = 0
        self._path: Path = download.staged
        if self._path.is_symlink():
            self._path.unlink()
        # Unbuffered: chunks are large, and what was written must be there after a kill.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self._path, flags, 0o644), "r+b", buffering=0)
        self._flusher = Flusher(self._file.fileno())
        self.hash = verify.hasher(download.file.digest)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        if not download.file.digest or self.size_bytes > download.file.size_bytes:
            self.restart()  # nothing says that this is the beginning of the wanted file
        if self.size_bytes:
            verify.feed(self.hash, self._path)
            self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> _Staged:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes that are expected are there."""
        expected = self.download.file.size_bytes
        return bool(expected) and self.size_bytes == expected

    def append(self, chunk: memoryview) -> None:
        """Add what came; the caller hashes it.

        Raises:
            DamagedDownloadError: it is more than the manifest promised.
        """
        expected = self.download.file.size_bytes
        if expected and self.size_bytes + len(chunk) > expected:
            self.restart()
            raise DamagedDownloadError(
                f"The server sent more than the {expected} bytes of {self.download.file.path}."
            )
        if self.size_bytes == 0 and bytes(chunk[:4]) != b"PAR1":
            raise NotParquetError(
                f"The server did not send a Parquet file for {self.download.file.path}."
            )
        written = 0
        while written < len(chunk):
            written += self._file.write(chunk[written : written + _WRITE_BYTES])
        self.size_bytes += len(chunk)
        self.received_bytes += len(chunk)
        self._flusher.note(len(chunk))

    def restart(self) -> None:
        """Forget what is there."""
        self._file.truncate(0)
        self._file.seek(0)
        self.hash = verify.hasher(self.download.file.digest)
        self.size_bytes = 0

    def sync(self) -> None:
        """Make what is there durable."""
        self._flusher.finish()

    def close(self) -> None:
        """Leave the file as it is."""
        self._flusher.wait()
        self._file.close()

    def is_right(self) -> bool:
        """Say whether the content is the promised one."""
        value = self.download.file.digest.partition(":")[2]
        return self.hash.hexdigest() == value if value else verify.is_parquet(self._path)

    def verify(self) -> None:
        """Delete the file unless it is right.

        Raises:
            DamagedDownloadError: it is not.
        """
        if self.is_right():
            return
        path, found = self.download.file.path, self.hash.hexdigest()
        wanted = self.download.file.digest.partition(":")[2]
        self.close()
        self._path.unlink()
        if not wanted:
            raise NotParquetError(f"The server did not send a whole Parquet file for {path}.")
        error = DamagedDownloadError(
            f"What came for {path} is damaged: its hash is {found[:12]}..., not {wanted[:12]}...."
        )
        error.found = found
        raise error


def _transfer_until_right(staged: _Staged, means: Means, *, was_resumed: bool) -> None:
    """Bring all of it; once more from the start when that came out wrong.

    The beginning may be from another version, or the network may have damaged it on the way.
    """
    again = int(was_resumed) + int(environment.download_retries() > 0)
    for _ in range(again):
        try:
            _transfer_with_retries(staged, means)
        except DamagedDownloadError:
            continue
        if staged.is_right():
            return
        staged.restart()
    _transfer_with_retries(staged, means)


def _transfer_with_retries(staged: _Staged, means: Means) -> None:
    attempt, furthest = 0, staged.size_bytes
    while not staged.is_whole:
        try:
            _transfer(staged, means)
            return
        except (ApiError, TransportError) as error:
            if staged.size_bytes >= furthest + _REAL_PROGRESS_BYTES:
                attempt, furthest = 0, staged.size_bytes
            if not _is_worth_a_retry(error) or attempt >= environment.download_retries():
                raise
            pause = _pause_seconds(error, attempt)
            attempt += 1
        if means.cancelled.wait(pause):
            raise CancelledError(f"{staged.download.file.path} was not finished.")


def _transfer(staged: _Staged, means: Means) -> None:
    response = means.client.open_download(
        staged.download.table.name, query=_query(staged.download), headers=_range(staged)
    )
    try:
        _check(response, staged)
        try:
            _receive(response, staged, means)
        finally:
            means.hasher.wait()
    finally:
        response.close()
    expected = staged.download.file.size_bytes
    if staged.size_bytes < (expected or 1):
        raise TransportError(
            f"{staged.download.file.path} ended after {staged.size_bytes} of {expected} bytes.",
            hint=_PATIENCE_HINT,
        )


def _receive(response: Response, staged: _Staged, means: Means) -> None:
    while True:
        hashed, buffer, count = staged.hash, means.hasher.borrow(), 0
        try:
            count = response.readinto(buffer)
            if not count:
                return
            staged.append(buffer[:count])
        finally:
            means.hasher.update(hashed, buffer, count)
        means.reporter.advance(staged.download.file.path, done_bytes=staged.size_bytes)
        if means.cancelled.is_set():
            raise CancelledError(f"{staged.download.file.path} was not finished.")


def _query(download: Download) -> dict[str, str]:
    query = {"version": str(download.table.version)} if download.table.version else {}
    return query | ({"part": download.file.part} if download.file.part else {})


def _range(staged: _Staged) -> dict[str, str]:
    if not staged.size_bytes:
        return {}
    etag = staged.download.file.digest.partition(":")[2]
    return {"Range": f"bytes={staged.size_bytes}-", "If-Range": f'"{etag}"'}


def _check(response: Response, staged: _Staged) -> None:
    """Look at the status and headers before the body; start again if it is not what is missing."""
    path = staged.download.file.path
    encoding = (response.headers.get("Content-Encoding") or "identity").lower()
    kind = (response.headers.get("Content-Type") or "").lower()
    if kind.startswith("text/html"):
        raise NotParquetError(f"The server did not send {path} but something else ({kind}).")
    if encoding != "identity":
        staged.restart()  # a proxy may leave whole files alone, and change ranges only
        raise NotParquetError(f"{path} was compressed on its way ({encoding}).")
    if response.status == 206:
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
        if start is not None and int(start[1]) == staged.size_bytes:
            return
    elif response.status == 200:
        if staged.size_bytes:
            staged.restart()
        return
    staged.restart()
    if response.status in (206, 416):
        raise TransportError(f"The server could not continue {path}.", hint=_PATIENCE_HINT)
    raise NotParquetError(f"The server answered HTTP {response.status} for {path}.")


def _is_worth_a_retry(error: CliError) -> bool:
    if isinstance(error, ApiError):
        return error.status >= 500 or error.status in _AGAIN
    return not isinstance(error, RedirectError | CertificateError)


def _pause_seconds(error: CliError, attempt: int) -> float:
    asked = error.retry_after if isinstance(error, ApiError) else None
    if asked is not None:
        return min(asked, _MAX_PAUSE_SECONDS)
    # Not all laptops of a company at the same moment.
    return _PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)] * random.uniform(0.8, 1.2)
