"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import codecs

from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.formats import Format
from extracts.connectors.files.source_file import SourceFile

HEAD_BYTES = 4096
_MANY_NULS = 10

_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_KNOWN = {
    _ZIP: "a ZIP archive (an Excel workbook is one, too)",
    b"PK\x05\x06": "an empty ZIP archive",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip; such a name ends with .gz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; such a name ends with .zst",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    _OLD_OFFICE: "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
}


def refuse_foreign(
    file: SourceFile,
    head: bytes,
    *,
    encoding: str = "",
    error: type[FileUnusableError] = FileUnusableError,
) -> None:
    """Refuse a file whose first bytes show that it is not what its name says.

    ``encoding`` is that of the settings: some write letters with NUL bytes.

    Raises:
        FileUnusableError: as ``error``; the message says what it is instead.
    """
    if not head:
        raise error(f"{file.name} is empty.", hint="Put a file with content there.")
    found = _what(head)
    if file.kind is Format.EXCEL:
        is_right = head.startswith((_ZIP, _OLD_OFFICE))
        found = "" if is_right else found or "no workbook of Excel or OpenDocument"
    elif not found and not _is_wide(encoding) and _is_binary(head):
        found = "not text"
    if found:
        raise error(f"{file.name} is no {file.kind.label} file: it is {found}.")


def _what(head: bytes) -> str:
    # Short signatures also are the beginnings of words in a CSV file.
    for magic, what in _KNOWN.items():
        if head.startswith(magic) and (len(magic) > 3 or b"\0" in head or not head.isascii()):
            return what
    if head[8:12] == b"DUCK":
        return "a DuckDB database"
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    return ""


def _is_binary(head: bytes) -> bool:
    """Say whether there are NUL bytes, which text has in UTF-16 and UTF-32 only.

    A single one further down is a bad row, not a file of another kind.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return b"\0" in head.partition(b"\n")[0] or head.count(b"\0") * _MANY_NULS > len(head)


def _is_wide(encoding: str) -> bool:
    return bool(encoding) and codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
