"""The bytes of a file as they are once it is unpacked, never more than a piece of them at once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import pyarrow as pa

from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.formats import Compression
from extracts.connectors.files.source_file import SourceFile

CHUNK_BYTES = 1024 * 1024


@contextmanager
def opened(
    file: SourceFile, *, error: type[FileUnusableError] = FileUnusableError
) -> Iterator[IO[bytes]]:
    """Open a file and unpack it while it is read.

    Raises:
        FileUnusableError: as ``error``: it is cut off, damaged, or compressed otherwise.
    """
    try:
        with _unpacking(file) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as damage:
        raise _damaged(file, error) from damage
    except OSError as damage:
        # What the system reports has a number, what zstd reports has none.
        if damage.errno is not None:
            raise
        raise _damaged(file, error) from damage


def _unpacking(file: SourceFile) -> Any:
    if file.compression is Compression.GZIP:
        return gzip.open(file.path)
    if file.compression is Compression.ZSTD:
        return cast("Any", pa.CompressedInputStream(pa.OSFile(str(file.path), "rb"), "zstd"))
    return file.path.open("rb")


def _damaged(file: SourceFile, error: type[FileUnusableError]) -> FileUnusableError:
    return error(
        f"{file.name} is damaged, cut off, or not compressed with {file.compression.value}.",
        hint="Put the whole file there again; a producer should write it under another name and "
        "rename it.",
    )
