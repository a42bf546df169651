"""The first megabyte of a file of lines, as a file that can be read by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa

from extracts.connectors.files.listing import source_file
from extracts.connectors.files.locations.location import Fetched

BEGINNING_BYTES = 1024 * 1024

_LINES = (".csv", ".tsv", ".txt", ".ndjson", ".jsonl")
_COMPRESSED: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


def can_be_cut(name: str) -> bool:
    """Say whether the beginning of a file makes sense without the rest of it."""
    return _plain_name(name).lower().endswith(_LINES)


def cut(fetched: Fetched, folder: Path) -> Fetched:
    """Return a file of the first whole lines of ``fetched``, or itself if it is short."""
    file = fetched.file
    if not can_be_cut(file.name):
        return fetched
    is_short = file.path.stat().st_size < BEGINNING_BYTES
    kind = _COMPRESSED.get(PurePosixPath(file.name.lower()).suffix)
    if is_short and kind is None:
        return fetched
    data = _unpacked(file.path, kind) if kind else _first(file.path)
    if not data or data.startswith(_OTHER_ENCODINGS):
        return fetched
    if len(data) >= BEGINNING_BYTES or not is_short:
        data = _whole_lines(data)
    name = _plain_name(file.name)
    path = folder / f"{file.path.name.partition('.')[0]}-beginning{PurePosixPath(name).suffix}"
    path.write_bytes(data)
    return dataclasses.replace(fetched, file=source_file(path, name, kind=file.kind))


def _plain_name(name: str) -> str:
    ending = PurePosixPath(name.lower()).suffix
    return name[: -len(ending)] if ending in _COMPRESSED else name


def _first(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(BEGINNING_BYTES)


def _unpacked(path: Path, kind: Literal["gzip", "zstd"]) -> bytes:
    """Return what the beginning of a compressed file holds, as far as it can be told."""
    found = bytearray()
    try:
        with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, kind) as stream:
            while len(found) < BEGINNING_BYTES:
                piece = stream.read(64 * 1024)
                if not piece:
                    break
                found += piece
    except (OSError, pa.ArrowException):
        pass  # the end is missing: that is why it is a beginning
    return bytes(found)


def _whole_lines(data: bytes) -> bytes:
    """Leave out the last line, which may be cut, and a quoted value that it is a part of."""
    end = data.rfind(b"\n")
    quotes = data.count(b'"', 0, max(end, 0))
    while end > 0 and quotes % 2:
        before = data.rfind(b"\n", 0, end)
        quotes -= data.count(b'"', max(before, 0), end)
        end = before
    return data[: end + 1] if end > 0 else data
