"""Sending a stored file over HTTP: ranges, validators, and the kernel's sendfile.

Django's ``FileResponse`` ignores ``Range`` under WSGI; this answers 200, 206, 304 and 416 as
RFC 9110 has it, for one range (several are answered as a whole, which it allows).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_BLOCK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that never changes, known by its SHA-256 (hex); ``location`` is its path below the
    folder that a web server in front may send from itself."""

    path: Path
    location: str
    sha256: str
    bytes: int

    @property
    def etag(self) -> str:
        """The strong validator of the file."""
        return f'"{self.sha256}"'


def serve(request: HttpRequest, file: StoredFile, *, accel_prefix: str = "") -> HttpResponseBase:
    """Answer a GET or HEAD for ``file``.

    With ``accel_prefix`` a web server in front sends the bytes, except where the caller
    compares ETags before a range: that server knows an ETag of its own only.

    Raises:
        FileNotFoundError: the file is not in the store.
    """
    if _names(request.headers.get("If-None-Match", ""), file.etag):
        return _with_validators(HttpResponse(status=304), file)
    given = request.headers.get("Range", "")
    if_range = request.headers.get("If-Range")
    if if_range is not None and if_range.strip() != file.etag:
        given = ""
    window = _window(given, file.bytes)
    response: HttpResponseBase
    if window is None:
        response = _with_validators(HttpResponse(status=416), file)
        response["Content-Range"] = f"bytes */{file.bytes}"
        return response
    if accel_prefix and if_range is None:
        response = HttpResponse(content_type="application/octet-stream")
        response["X-Accel-Redirect"] = accel_prefix + file.location
        return _with_validators(response, file)
    first, length = window
    is_partial = length != file.bytes
    if request.method == "HEAD":
        file.path.stat()
        response = HttpResponse(content_type="application/octet-stream")
    else:
        response = _FileWindow(file.path.open("rb"), first=first, length=length)
    response.status_code = 206 if is_partial else 200
    if is_partial:
        response["Content-Range"] = f"bytes {first}-{first + length - 1}/{file.bytes}"
    response["Content-Length"] = str(length)
    return _with_validators(response, file)


def _with_validators(response: HttpResponseBase, file: StoredFile) -> HttpResponseBase:
    response["ETag"] = file.etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-transform"
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    return response


def _names(header: str, etag: str) -> bool:
    return any(given.strip() in ("*", etag) for given in header.split(","))


def _window(header: str, size: int) -> tuple[int, int] | None:
    """Return (first byte, length) of what to send, the whole where no range is asked for.

    ``None`` means that the range asked for lies outside of the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return 0, size
    start, end = match.groups()
    if not start:
        length = min(int(end), size)
        return (size - length, length) if length else None
    first = int(start)
    last = min(int(end), size - 1) if end else size - 1
    if first >= size:
        return None
    if last < first:
        return 0, size
    return first, last - first + 1


class _Window:
    """A file that begins and ends within another one; what the WSGI server hands to sendfile."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file, self._left = file, length

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_BLOCK), b"")

    def close(self) -> None:
        self._file.close()


class _FileWindow(StreamingHttpResponse):
    """Streams a part of a file; Django passes ``file_to_stream`` to the server's sendfile."""

    block_size = _BLOCK

    def __init__(self, file: IO[bytes], *, first: int, length: int) -> None:
        file.seek(first)
        self.file_to_stream = _Window(file, length)
        # Closes what it streams, and with it the file.
        super().__init__(self.file_to_stream, content_type="application/octet-stream")
