"""Documents as CSV: one file a kind, which spreadsheets open without running what is in it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from catalog.services.exchange.document import Document, DocumentInvalidError, unknown
from catalog.services.exchange.fields import Field, WrongTypeError
from catalog.services.exchange.kinds import KINDS, Kind

# Spreadsheets take a cell that begins like this for a formula; an apostrophe makes it a text.
# See https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def write(kind: Kind) -> str:
    """Return all objects of a kind, a line each; lists and settings are JSON."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*kind.key, *(field.name for field in kind.fields)])
    for key, values in kind.current().items():
        cells = [*key, *(_cell(values[field.name]) for field in kind.fields)]
        writer.writerow([_guarded(cell) for cell in cells])
    return file.getvalue()


def read(text: str, kind: Kind) -> Document:
    """Read a file of one kind.

    An empty cell empties its field; a column that is not there leaves it as it is.

    Raises:
        DocumentInvalidError: it is not CSV, or lacks the columns that name an object.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    document = Document()
    document.begin(kind)
    try:
        header = next(reader, [])
        columns = _columns(kind, header)
        line = reader.line_num + 1
        for row in reader:
            if any(row):
                _take(document, kind, columns, row, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DocumentInvalidError(f"Line {reader.line_num} is not CSV: {error}.") from None
    return document


def kind_of(text: str, *, file_name: str = "") -> Kind:
    """Return the kind that a file is of, by its name or by its columns.

    Raises:
        DocumentInvalidError: neither tells.
    """
    for kind in KINDS:
        if kind.name in file_name.lower():
            return kind
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    header = {name.strip() for name in next(lines, [])}
    fitting = [
        kind
        for kind in KINDS
        if set(kind.key) <= header and header <= {*kind.key, *(field.name for field in kind.fields)}
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(kind.name for kind in KINDS)
    raise DocumentInvalidError(
        "It is not clear what the file lists.", hint=f"Say which kind it is: {names}."
    )


def _columns(kind: Kind, header: list[str]) -> list[tuple[str, Field | None]]:
    names = [name.strip() for name in header]
    known = {field.name: field for field in kind.fields}
    missing = [part for part in kind.key if part not in names]
    if missing:
        raise DocumentInvalidError(f"The file has no column {', '.join(missing)}.")
    for name in names:
        if name not in known and name not in kind.key:
            said = unknown(name, [*kind.key, *known], what="column")
            raise DocumentInvalidError(f"Line 1: {said}")
        if names.count(name) > 1:
            raise DocumentInvalidError(f"Line 1: the column {name!r} is there twice.")
    return [(name, known.get(name)) for name in names]


def _take(
    document: Document, kind: Kind, columns: list[tuple[str, Field | None]], row: list[str],
    line: int,
) -> None:  # fmt: skip
    if len(row) != len(columns):
        message = f"{len(row)} cells where the first line has {len(columns)}."
        document.refuse(message, line=line)
        return
    key, given = {}, []
    for (name, field), raw in zip(columns, row, strict=True):
        cell = raw[1:] if _GUARDED.match(raw) else raw
        if field is None:
            key[name] = cell
            continue
        try:
            given.append((name, field.parse(cell) if cell else field.empty))
        except WrongTypeError as error:
            document.refuse(f"{name}: {error}.", line=line)
            return
    if not all(key.values()):
        document.refuse(f"{', '.join(kind.key)} cannot be empty.", line=line)
        return
    document.add(kind, tuple(key[part] for part in kind.key), given, line=line)


def _cell(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
