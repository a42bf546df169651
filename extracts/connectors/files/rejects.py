"""Rows that cannot be read: an error, or lines of a side file up to a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import orjson

from catalog.connectors import Rejected
from extracts.connectors.files.errors import RowError, TooManyBadRowsError
from extracts.connectors.files.table_settings import BadRows, FilesTable

# Of the text of a row that is set aside, no more than this many characters are kept.
TEXT_LIMIT = 1_000


class Rejects:
    """Decides what becomes of a row that cannot be read.

    Its file holds a line of JSON for each row that was set aside.
    """

    def __init__(
        self, folder: Path, options: FilesTable, *, error: type[RowError] = RowError
    ) -> None:
        """Keep the file in ``folder``; ``error`` is what a row is refused with."""
        self.is_refusing = options.bad_rows is BadRows.FAIL
        self._limit = options.max_bad_rows
        self._error = error
        self._path = folder / "rejected.ndjson"
        self._file: TextIO | None = None
        self.rows = 0

    def restart(self) -> None:
        """Forget all rows: the files are read from their beginning again."""
        self.close()
        self._path.unlink(missing_ok=True)
        self.rows = 0

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(
        self, *, file: str, row: int, reason: str, text: str, column: str = "", hint: str = ""
    ) -> None:
        """Set one row aside.

        Raises:
            RowError: the settings of the table say that a bad row is an error.
            TooManyBadRowsError: this is one more than they allow.
        """
        place = f"{file}, row {row}" + (f", column {column!r}" if column else "")
        details: dict[str, Any] = {"file": file, "row": row}
        if column:
            details["column"] = column
        if self.is_refusing:
            raise self._error(f"{place}: {reason}.", hint=hint or None, **details)
        self.rows += 1
        if self.rows > self._limit:
            raise TooManyBadRowsError(
                f"More than {self._limit:,} rows cannot be read. The last: {place}: {reason}.",
                **details,
            )
        line = {"file": file, "row": row, "column": column, "reason": reason}
        self._append(orjson.dumps({**line, "text": _bounded(text)}))

    def result(self) -> Rejected | None:
        """Return the finished file, ``None`` if every row could be read."""
        self.close()
        return Rejected(path=self._path, rows=self.rows) if self.rows else None

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8")
        self._file.write(line.decode() + "\n")


def _bounded(text: str) -> str:
    shown = text[:TEXT_LIMIT].encode(errors="replace").decode()
    return shown if len(text) <= TEXT_LIMIT else f"{shown}…"
