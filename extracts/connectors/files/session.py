"""What DuckDB is given to read, and which of its errors are about that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from extracts.connectors.files.listing import SourceFile


def linked(files: Sequence[SourceFile], scratch: Path) -> list[Path]:
    """Return links to ``files`` in ``scratch`` whose names mean nothing to DuckDB."""
    folder = scratch / "input"
    folder.mkdir(exist_ok=True)
    links = []
    for number, file in enumerate(files):
        link = folder / f"{number:06}{file.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(file.path)
        links.append(link)
    return links


def is_about_data(error: Exception) -> bool:
    """Say whether an error of DuckDB is about what it reads, and not about the machine."""
    return str(error).startswith(_ABOUT_DATA)


# How DuckDB's messages about data begin.
_ABOUT_DATA = ("Invalid Input Error", "Conversion Error", "Invalid Error", "Parser Error")
