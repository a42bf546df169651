"""What can be set for a source of files and for each of its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from catalog.connectors import Settings


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute():
        raise ValueError("give the whole path of the folder, beginning with /")
    return folder


# The name of a DuckDB type: letters, digits, and what types with parameters need.
DuckdbType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ (),\[\]]{0,199}$")]
Delimiter = Annotated[str, StringConstraints(pattern=r'^[^\r\n"\x00]$')]


class FilesConfig(Settings):
    """A folder on the server whose files are tables."""

    folder: Annotated[Path, AfterValidator(_absolute)] = Field(
        description="Folder on the server; nothing outside of it is read."
    )


class FilesTable(Settings):
    """How the files of one table are read. Parquet files need none of this."""

    null_strings: tuple[str, ...] = Field(
        default=("",),
        min_length=1,
        description="CSV: texts that mean that there is no value, such as NA.",
    )
    types: dict[str, DuckdbType] = Field(
        default_factory=dict,
        description="CSV: types of columns that are not to be guessed, such as zip: VARCHAR.",
    )
    delimiter: Delimiter | None = Field(
        default=None,
        description="CSV: the character between values; found in the first line if not given.",
    )
    has_header: bool = Field(
        default=True, description="CSV: the first line holds the names of the columns."
    )
