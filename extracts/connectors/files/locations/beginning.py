"""The first megabyte of a file of lines, as a file that can be read by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa

from extracts.connectors.files.formats import Compression
from extracts.connectors.files.locations.location import Fetched

BEGINNING_BYTES = 1024 * 1024

_LINES = (".csv", ".tsv", ".tab", ".txt", ".ndjson", ".jsonl")
_COMPRESSED = (".gz", ".zst")
_CODECS: dict[Compression, Literal["gzip", "zstd"]] = {
    Compression.GZIP: "gzip",
    Compression.ZSTD: "zstd",
}
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


def can_be_cut(name: str) -> bool:
    """Say whether the beginning of a file makes sense without the rest of it."""
    lower = name.lower()
    ending = PurePosixPath(lower).suffix
    return (lower.removesuffix(ending) if ending in _COMPRESSED else lower).endswith(_LINES)


def cut(fetched: Fetched, folder: Path) -> Fetched:
    """Return a file of the first whole lines of ``fetched``, or itself if it is short."""
    file = fetched.file
    if not can_be_cut(file.name):
        return fetched
    is_short = file.path.stat().st_size < BEGINNING_BYTES
    codec = _CODECS.get(file.compression)
    if is_short and codec is None:
        return fetched
    data = _unpacked(file.path, codec) if codec else _first(file.path)
    if not data or data.startswith(_OTHER_ENCODINGS):
        return fetched
    if len(data) >= BEGINNING_BYTES or not is_short:
        data = _whole_lines(data)
    path = folder / f"{file.path.name.partition('.')[0]}-beginning"
    path.write_bytes(data)
    suffix = file.suffix.rpartition(".")[0] if codec else file.suffix
    beginning = dataclasses.replace(file, path=path, compression=Compression.NONE, suffix=suffix)
    return dataclasses.replace(fetched, file=beginning)


def _first(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(BEGINNING_BYTES)


def _unpacked(path: Path, codec: Literal["gzip", "zstd"]) -> bytes:
    """Return what the beginning of a compressed file holds, as far as it can be told."""
    found = bytearray()
    try:
        with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, codec) as stream:
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
