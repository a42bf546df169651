"""Bring one file over HTTP: in a stream, bounded, resumed, tried again a few times."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from agnes_site.core.errors import AgnesError, InvalidInputError, UpstreamError
from extracts.connectors.files.locations.location import (
    FileChangedError,
    FileTooLargeError,
    RemoteFileMissingError,
    Stamp,
)
from extracts.connectors.reach.web import HostUnreachableError, Web

_ATTEMPTS = 5
_LONGEST_PAUSE_SECONDS = 20.0
_PIECE_BYTES = 256 * 1024
_PIECE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<length>\d+|\*)")
_SETTLED = timedelta(seconds=60)
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class RemoteDeniedError(InvalidInputError):
    """A server does not let us read a file."""

    code = "remote_denied"
    hint = "Check the user and the secrets of the source, and their rights at the server."


class RemoteAnswerError(InvalidInputError):
    """A server answers with something that is no file of data."""

    code = "remote_answer_unusable"
    hint = "Open the address in a browser; often it wants a sign-in, or another address."


# Says what an answer means that is no file, where the kind of server knows better.
Explain = Callable[[requests.Response, str], AgnesError | None]


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A file on disk, and what the server says of it."""

    path: Path
    stamp: Stamp | None
    content_type: str
    encoding: str
    file_name: str


def unexplained(_answer: requests.Response, _name: str) -> AgnesError | None:
    """Leave all answers to the general rules."""
    return None


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """Downloads from one source, none larger than ``max_bytes``."""

    web: Web
    max_bytes: int
    explain: Explain = unexplained
    pause: Callable[[float], None] = time.sleep

    def bring(
        self,
        url: str,
        path: Path,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        first_bytes: int | None = None,
    ) -> Downloaded:
        """Bring ``url`` to ``path``; with ``first_bytes`` only the beginning, if it can be had.

        Raises:
            FileTooLargeError: it is longer than allowed.
            UpstreamError: the server failed, several times over.
            AgnesError: the server refuses, or answers with something else.
        """
        progress = _Progress(path, validator="")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._try(url, progress, name, dict(headers or {}), first_bytes)
            except FileChangedError:
                # It is not what was listed, and will not be again.
                raise
            except UpstreamError as error:
                wait = error.retry_after
                if attempt == _ATTEMPTS or (wait or 0) > _LONGEST_PAUSE_SECONDS:
                    raise
                self.pause(wait if wait is not None else min(2.0**attempt / 4, 5))
        raise AssertionError("the last attempt returns or raises")

    def ask(self, url: str, *, name: str, headers: Mapping[str, str]) -> requests.Response:
        """Return an answer of 200, 206 or 304, its body unread.

        Raises:
            AgnesError: what another answer means.
        """
        answer = self.web.get(url, headers)
        if answer.status_code in (200, 206, 304):
            return answer
        with answer:
            raise self.explain(answer, name) or _meaning(answer, name)

    def reach(self, url: str) -> None:
        """Try whether a server answers at all.

        Raises:
            AgnesError: it does not, or fails.
        """
        with self.web.get(url) as answer:
            if answer.status_code >= 500:
                raise _meaning(answer, url)

    def _try(
        self, url: str, so_far: _Progress, name: str, headers: dict[str, str], first: int | None
    ) -> Downloaded:
        headers |= so_far.range_headers(first)
        with self.ask(url, name=name, headers=headers) as answer:
            _refuse_page(answer, name)
            length = so_far.begin(answer)
            with so_far.path.open("ab") as target:
                for piece in _pieces(answer, urlsplit(url).hostname or "", name):
                    target.write(piece)
                    if first is not None and target.tell() >= first:
                        break
                    self._refuse_large(target.tell(), name)
            if first is not None:
                os.truncate(so_far.path, min(first, so_far.path.stat().st_size))
            elif length is not None and so_far.path.stat().st_size != length:
                raise UpstreamError(f"The server sent less of {name} than there is.")
            return _downloaded(answer, so_far.path)

    def _refuse_large(self, size: int, name: str) -> None:
        if size > self.max_bytes:
            raise FileTooLargeError(
                f"{name} is larger than {self.max_bytes // 1024**2:,} MB.", file=name
            )


class _Progress:
    """What is on disk of a file, and by which mark the rest of the same file can be had."""

    def __init__(self, path: Path, *, validator: str) -> None:
        self.path = path
        self._validator = validator
        path.write_bytes(b"")

    def range_headers(self, first: int | None) -> dict[str, str]:
        size = self.path.stat().st_size
        if size and self._validator:
            return {"Range": f"bytes={size}-", "If-Range": self._validator}
        return {"Range": f"bytes=0-{first - 1}"} if first else {}

    def begin(self, answer: requests.Response) -> int | None:
        """Keep what is there if the answer goes on behind it, else start anew.

        Return the length of the whole file where the answer is a piece that says it.

        Raises:
            UpstreamError: it is another piece than was asked for.
        """
        size = self.path.stat().st_size
        etag = answer.headers.get("ETag", "")
        self._validator = etag if etag.startswith('"') else ""
        if answer.status_code != 206:
            os.truncate(self.path, 0)
            return None
        piece = _PIECE.match(answer.headers.get("Content-Range", ""))
        if piece is None or int(piece["start"]) not in (0, size):
            self._validator = ""
            os.truncate(self.path, 0)
            raise UpstreamError("The server answers with another piece than was asked for.")
        os.truncate(self.path, int(piece["start"]))
        return int(piece["length"]) if piece["length"].isdecimal() else None


def _pieces(answer: requests.Response, host: str, name: str) -> Iterator[bytes]:
    """Yield the body of an answer.

    Raises:
        HostUnreachableError: the connection ended before it did.
    """
    try:
        yield from answer.raw.stream(_PIECE_BYTES, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise HostUnreachableError(
            f"{host} ended the connection in the middle of {name}."
        ) from error


def stamp_of(answer: requests.Response) -> Stamp | None:
    """Return what the headers of an answer say of the file, ``None`` if that is not enough."""
    etag = answer.headers.get("ETag", "")
    changed = answer.headers.get("Last-Modified", "")
    if not etag and not _is_settled(changed, answer.headers.get("Date", "")):
        return None
    return [etag, changed]


def retry_after(answer: requests.Response) -> float | None:
    """Return the seconds that a server asks to wait."""
    text = answer.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text[:6])
    try:
        wait = parsedate_to_datetime(text) - datetime.now(UTC)
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _is_settled(changed: str, date: str) -> bool:
    """Say whether a time with a resolution of a second tells this content from the next."""
    try:
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return now - parsedate_to_datetime(changed) >= _SETTLED
    except (ValueError, TypeError):
        return False


def _downloaded(answer: requests.Response, path: Path) -> Downloaded:
    named = re.search(r'filename="?([^";]+)', answer.headers.get("Content-Disposition", ""))
    return Downloaded(
        path=path,
        stamp=stamp_of(answer),
        content_type=answer.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        encoding=answer.headers.get("Content-Encoding", "").strip().lower(),
        file_name=named[1] if named else "",
    )


def _meaning(answer: requests.Response, name: str) -> AgnesError:
    status = answer.status_code
    if status in (401, 403, 407):
        return RemoteDeniedError(f"The server does not let us read {name} (HTTP {status}).")
    if status in (404, 410):
        return RemoteFileMissingError(f"The server has no {name} (HTTP {status}).")
    if status in _BUSY or status >= 500:
        return UpstreamError(
            f"The server failed to send {name} (HTTP {status}).", retry_after=retry_after(answer)
        )
    return RemoteAnswerError(f"The server answers for {name} with HTTP {status}.")


def _refuse_page(answer: requests.Response, name: str) -> None:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise RemoteAnswerError(f"{name} is a web page instead of a file.")
