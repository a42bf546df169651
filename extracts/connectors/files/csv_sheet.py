"""One CSV file as it is read, and whether DuckDB can be trusted with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from extracts.connectors.files.csv_records import NotCsvError, Signs
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.streams import CHUNK_BYTES, opened

# A MB of text with fewer lines has long ones: DuckDB has thousands of them in memory at once.
_FEW_LINES = 32
_UTF8 = ("utf-8", "utf8", "utf-8-sig", "ascii")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One file with its own columns and signs; ``link`` leads to it under a plain name."""

    file: SourceFile
    link: Path
    encoding: str
    signs: Signs
    names: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether DuckDB reads the file exactly as careful reading would."""
        signs = self.signs
        is_usual = signs.escape in (None, signs.quote) and signs.comment is None
        is_utf8 = self.encoding.lower().replace("_", "-") in _UTF8
        # A line break in the header that is not that of the rows, or a quote above it that nobody
        # closes, and DuckDB takes the rows for a part of it.
        return is_utf8 and is_usual and signs.skip_footer == 0 and not signs.has_odd_head

    def begins_with_trouble(self) -> bool:
        """Say whether the beginning of the file is more than DuckDB should be given."""
        with opened(self.file, error=NotCsvError) as stream:
            return _is_trouble(stream.read(CHUNK_BYTES))

    def holds_trouble(self) -> bool:
        """Say so of the whole file, and notice where it was cut off, which DuckDB would not.

        Raises:
            NotCsvError: it was, or is damaged.
        """
        found = False
        with opened(self.file, error=NotCsvError) as stream:
            while piece := stream.read(CHUNK_BYTES):
                found = found or _is_trouble(piece)
        return found


def _is_trouble(piece: bytes) -> bool:
    lines = max(piece.count(b"\n"), piece.count(b"\r"))
    return b"\0" in piece or lines < _FEW_LINES * len(piece) // CHUNK_BYTES
