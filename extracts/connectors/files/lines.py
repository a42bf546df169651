"""The lines of a text file, one at a time, whatever ends them and however long they are."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from extracts.connectors.files.content import HEAD_BYTES, refuse_foreign
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.streams import opened

# A line longer than this is an error; a quote that is never closed ends here as well.
MAX_LINE = 2_000_000

# Stands for bytes that are no letter in the encoding of the file. No text can hold it.
DAMAGE = "\udcff"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError), "text is read only"
    return DAMAGE, error.end


codecs.register_error("agnes.damage", _mark_damage)


class LongLineError(Exception):
    """A line is longer than :data:`MAX_LINE`; it has been passed over."""


class Lines:
    """Iterates over lines with what ends them.

    ``number`` is that of the last one, ``record`` what was read since :meth:`begin`, ``text`` what
    all of them come from.
    """

    def __init__(self, text: io.TextIOBase) -> None:
        self.text = text
        self._again: deque[str] = deque()
        self.number = 0
        self.record: list[str] = []

    def begin(self) -> None:
        """Start a record of what is read."""
        self.record = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            LongLineError: it is too long.
        """
        line = self._again.popleft() if self._again else self.text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.record.append(line)
        if len(line) == MAX_LINE and line[-1] not in "\r\n":
            self._pass_over()
            raise LongLineError
        return line

    def take_back(self) -> None:
        """Give all lines of the record but its first one once more."""
        rest = self.record[1:]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)

    def _pass_over(self) -> None:
        while True:
            piece = self.text.readline(MAX_LINE)
            if not piece or piece[-1] in "\r\n":
                return


@contextmanager
def text_lines(
    file: SourceFile, *, encoding: str | None, error: type[FileUnusableError]
) -> Iterator[Lines]:
    """Open the lines of a file, decoded and unpacked while they are read.

    Raises:
        FileUnusableError: as ``error``: it is empty, damaged or no text.
    """
    name = encoding_of(file, given=encoding, error=error)
    with opened(file, error=error) as stream:
        text = io.TextIOWrapper(stream, encoding=name, errors="agnes.damage", newline="")
        yield Lines(text)


def encoding_of(file: SourceFile, *, given: str | None, error: type[FileUnusableError]) -> str:
    """Return the encoding of a file: as given, else as its first bytes say, else UTF-8.

    Raises:
        FileUnusableError: as ``error``: it is empty or no text.
    """
    with opened(file, error=error) as stream:
        head = stream.read(HEAD_BYTES)
    refuse_foreign(file, head, encoding=given or "", error=error)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    if not given:
        return marked or "utf-8"
    # Whoever gives an encoding need not know whether the files begin with its mark.
    name = codecs.lookup(given).name
    family = name.partition("-le")[0].partition("-be")[0]
    if name in ("utf-16", "utf-32") and not marked.startswith(family):
        raise error(
            f"{file.name} does not begin with the mark that says how {given} is to be read.",
            hint=f"Set encoding in the settings of the table to {name}-le or {name}-be.",
        )
    return marked if marked.startswith(family) else given
