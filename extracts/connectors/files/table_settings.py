"""What can be set for a table of files: how they are read."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from catalog.connectors import Settings
from extracts.connectors.files.formats import Format


def _encoding(name: str) -> str:
    try:
        "a".encode(name)
    except (LookupError, UnicodeError) as error:
        raise ValueError(
            f"there is no encoding {name!r}; usual ones are utf-8, utf-16, cp1250, cp1252, "
            "iso-8859-2, shift_jis"
        ) from error
    return name


def _time_format(text: str) -> str:
    if not _TIME_FORMAT.fullmatch(text) or not re.search(r"%-?\w", text.replace("%%", "")):
        raise ValueError(
            "write it with the signs of strptime, such as %d.%m.%Y or %Y-%m-%dT%H:%M:%S%z"
        )
    return text


# What DuckDB can read times by; it refuses other signs when rows are read.
_TIME_FORMAT = re.compile(r"([^%\x00]|%-?[dHIjmMSy]|%[aAbBcfgGhnpTuUVwWxXYzZ%])*")

# The name of a DuckDB type: letters, digits, and what types with parameters need.
DuckdbType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ (),\[\]]{0,199}$")]
Delimiter = Annotated[str, StringConstraints(pattern=r'^[^\r\n"\x00]$')]
Sign = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]$")]
TimeFormat = Annotated[str, AfterValidator(_time_format), StringConstraints(max_length=100)]
Encoding = Annotated[str, AfterValidator(_encoding), StringConstraints(max_length=40)]


class BadRows(StrEnum):
    """What becomes of rows that cannot be read."""

    FAIL = "fail"
    QUARANTINE = "quarantine"


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
        description="How dates are written, such as %d.%m.%Y; 2026-01-31 if not given. JSON and "
        "Excel: in columns whose type is given.",
    )
    timestamp_formats: tuple[TimeFormat, ...] = Field(
        default=(),
        max_length=20,
        description="How points in time are written, such as %d.%m.%Y %H:%M; 2026-01-31 08:00:00 "
        "if not given. JSON and Excel: in columns whose type is given.",
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

    part_per_file: bool = Field(
        default=False,
        description="Each file is a part of its own: files that have not changed are not read "
        "again. A primary key is then checked within each file.",
    )
    file_name_column: str = Field(
        default="",
        max_length=200,
        description="Name of an extra column that holds the name of the file of each row.",
    )

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal_mark and thousands_mark cannot be the same character")
        escape = None if self.escape == self.quote else self.escape
        signs = [self.delimiter, self.quote or None, escape, self.comment]
        given = [sign for sign in signs if sign]
        if len(set(given)) < len(given):
            raise ValueError("delimiter, quote, escape and comment cannot be the same character")
        return self
