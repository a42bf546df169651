"""What can be set for a source of files and for each of its tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from catalog.connectors import Settings
from extracts.connectors.files.formats import Format


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute():
        raise ValueError("give the whole path of the folder, beginning with /")
    return folder


def _encoding(name: str) -> str:
    try:
        b"".decode(name)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"there is no encoding {name!r}; usual ones are utf-8, utf-16, cp1250, cp1252, "
            "iso-8859-2, shift_jis"
        ) from error
    return name


# The name of a DuckDB type: letters, digits, and what types with parameters need.
DuckdbType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ (),\[\]]{0,199}$")]
Delimiter = Annotated[str, StringConstraints(pattern=r'^[^\r\n"\x00]$')]
Sign = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]$")]
TimeFormat = Annotated[str, StringConstraints(pattern=r"^[^\x00]*%[^\x00]*$", max_length=100)]
Encoding = Annotated[str, AfterValidator(_encoding), StringConstraints(max_length=40)]


class BadRows(StrEnum):
    """What becomes of rows that cannot be read."""

    FAIL = "fail"
    QUARANTINE = "quarantine"


class FilesConfig(Settings):
    """A folder on the server whose files are tables."""

    folder: Annotated[Path, AfterValidator(_absolute)] = Field(
        description="Folder on the server; nothing outside of it is read."
    )


class FilesTable(Settings):
    """How the files of one table are read. Parquet files need none of this."""

    format: Format | None = Field(
        default=None, description="What the files are, where their names do not say it."
    )
    types: dict[str, DuckdbType] = Field(
        default_factory=dict,
        description="Types of columns that are not to be guessed, such as zip: VARCHAR.",
    )
    null_strings: tuple[str, ...] = Field(
        default=("",),
        min_length=1,
        description="CSV, Excel: texts that mean that there is no value, such as NA.",
    )
    has_header: bool = Field(
        default=True, description="CSV, Excel: the first line holds the names of the columns."
    )
    skip_rows: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="CSV, Excel: lines above the header that are no data.",
    )
    skip_footer: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="CSV, Excel: rows at the end that are no data, such as a total.",
    )
    delimiter: Delimiter | None = Field(
        default=None,
        description="CSV: the character between values; found in the first line if not given.",
    )
    quote: Sign | Literal[""] = Field(
        default='"',
        description="CSV: the character around values that hold the delimiter; empty for none.",
    )
    escape: Sign | None = Field(
        default=None,
        description="CSV: the character before a quote inside of a value, such as \\; "
        "if not given, such a quote is written twice.",
    )
    comment: Sign | None = Field(
        default=None, description="CSV: lines that begin with this character are no data."
    )
    encoding: Encoding | None = Field(
        default=None,
        description="CSV, JSON: how letters are written, such as cp1250 or utf-16; UTF-8 if not "
        "given and the file does not begin with a mark of another.",
    )
    decimal_mark: Literal[".", ","] = Field(
        default=".", description="CSV: what is between whole and fraction of a number."
    )
    thousands_mark: Literal["", ".", ",", " ", "'"] = Field(
        default="", description="CSV: what is between the thousands of a number, if anything."
    )
    date_formats: tuple[TimeFormat, ...] = Field(
        default=(),
        max_length=20,
        description="CSV, JSON: how dates are written, such as %d.%m.%Y; 2026-01-31 if not given.",
    )
    timestamp_formats: tuple[TimeFormat, ...] = Field(
        default=(),
        max_length=20,
        description="CSV, JSON: how points in time are written, such as %d.%m.%Y %H:%M; "
        "2026-01-31 08:00:00 if not given.",
    )
    records_path: str = Field(
        default="",
        max_length=500,
        description="JSON: where the list of rows is, such as data.items; the only list if not "
        "given.",
    )
    sheet: str = Field(
        default="", max_length=100, description="Excel: name of the sheet; the first if not given."
    )
    max_workbook_mb: int = Field(
        default=200,
        ge=1,
        le=4_000,
        description="Excel: how large a workbook may be once it is unpacked, in MB; it is in "
        "memory as a whole.",
    )
    bad_rows: BadRows = Field(
        default=BadRows.FAIL,
        description="What becomes of a row that cannot be read: it fails the run, or it is set "
        "aside (quarantine) and shown with the run.",
    )
    max_bad_rows: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="How many rows may be set aside; one more fails the run.",
    )

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal_mark and thousands_mark cannot be the same character")
        signs = [self.delimiter, self.quote or None, self.comment]
        given = [sign for sign in signs if sign]
        if len(set(given)) < len(given):
            raise ValueError("delimiter, quote and comment cannot be the same character")
        return self
