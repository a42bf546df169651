"""The first look at a CSV file: is it one at all, what separates values, what are the columns."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from agnes_site.core.errors import InvalidInputError
from extracts.connectors.files.listing import SourceFile

_HEAD_BYTES = 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_DELIMITERS = ",;\t|"

_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (an Excel workbook is one, too)",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip; such a name ends with .gz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "in the encoding UTF-16",
    b"\xfe\xff": "in the encoding UTF-16",
}


class NotCsvError(InvalidInputError):
    """A file with the name of a CSV file is something else."""

    code = "csv_unusable"
    hint = "Replace the file by a CSV file in UTF-8, or give the table another file."


def read_header(file: SourceFile, *, delimiter: str | None) -> tuple[str, list[str]]:
    """Return the delimiter of ``file``, found in its first line if not given, and that line.

    Raises:
        NotCsvError: the file is empty, not text in UTF-8, or begins with an empty line.
    """
    head = _head(file)
    if not head:
        raise NotCsvError(f"{file.name} is empty.")
    _refuse_foreign(file, head)
    lines = _decoded(file, head).splitlines(keepends=True)
    if delimiter is None:
        widths = {sign: len(_first_record(lines, sign)) for sign in _DELIMITERS}
        delimiter = max(widths, key=lambda sign: widths[sign])
    record = _first_record(lines, delimiter)
    if not any(record):
        raise NotCsvError(f"The first line of {file.name} is empty.")
    return delimiter, record


def check_gzip(file: SourceFile) -> None:
    """Read a gzip file to its end: DuckDB takes a file that was cut off for a shorter one.

    Raises:
        NotCsvError: the file is cut off or damaged.
    """
    with _opened(file) as stream:
        while stream.read(_CHUNK_BYTES):
            pass


@contextmanager
def _opened(file: SourceFile) -> Iterator[BinaryIO | gzip.GzipFile]:
    try:
        with gzip.open(file.path) if file.is_gzip else file.path.open("rb") as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotCsvError(f"{file.name} is damaged or not compressed with gzip: {error}") from error


def _head(file: SourceFile) -> bytes:
    with _opened(file) as stream:
        return stream.read(_HEAD_BYTES)


def _refuse_foreign(file: SourceFile, head: bytes) -> None:
    found = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), "")
    if head[8:12] == b"DUCK":
        found = "a DuckDB database"
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        found = "an HTML page"
    if not found and b"\0" in head[:4096]:
        found = "not text"
    if found:
        raise NotCsvError(f"{file.name} is no CSV file: it is {found}.")


def _decoded(file: SourceFile, head: bytes) -> str:
    # The head may end within a character; only the first line matters here.
    first_line = head.splitlines(keepends=True)[0] if head.strip() else b""
    try:
        first_line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotCsvError(f"{file.name} is not in UTF-8: see its first line.") from error
    return head.decode("utf-8-sig", errors="replace")


def _first_record(lines: list[str], delimiter: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error:  # a field of more than 128 KiB; DuckDB will say where
        return []
