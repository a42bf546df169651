"""What can be set for a source of files and for each of its tables."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator
from pydantic.config import JsonDict

from catalog.connectors import Settings
from extracts.connectors.files.formats import Format
from extracts.connectors.reach.hosts import UrlRefusedError, checked_url


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute():
        raise ValueError("give the whole path of the folder, beginning with /")
    return folder


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


_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f]*)?\Z")


# What few need stands folded away in forms.
_WEB: JsonDict = {"group": "Files on the web", "more": True}
_S3: JsonDict = {"group": "Files in S3", "more": True}


class FilesConfig(Settings):
    """Where files are: a folder of the server, addresses of the web, or a bucket."""

    folder: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        default=None,
        description="Folder on the server, below those that it may read (AGNES_FILES_ROOTS); "
        "nothing outside of it is read. Or give addresses instead.",
    )
    urls: tuple[str, ...] = Field(
        default=(),
        title="Addresses",
        max_length=1000,
        description="Addresses instead of a folder: https://host/orders.csv, https://host/exports/ "
        "with names of tables below it, or s3://bucket/prefix/. Hosts have to be allowed "
        "(AGNES_FILES_HOSTS).",
    )
    user: str = Field(
        default="",
        max_length=200,
        description="Web: name to sign in with.",
        json_schema_extra=_WEB,
    )
    ca_file: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        default=None,
        description="Certificate file on the server of the authority that signs the host's own.",
        json_schema_extra=_WEB,
    )
    s3_endpoint: str = Field(
        default="",
        max_length=500,
        description="S3: address of the service, such as https://minio.example.com; Amazon's if "
        "not given.",
        json_schema_extra=_S3,
    )
    s3_region: str = Field(
        default="us-east-1",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="S3: region of the bucket.",
        json_schema_extra=_S3,
    )
    s3_access_key_id: str = Field(
        default="",
        max_length=200,
        pattern=r"^[!-~]*$",
        description="S3: id of the key; empty for a public bucket.",
        json_schema_extra=_S3,
    )
    s3_path_style: bool | None = Field(
        default=None,
        description="S3: the bucket stands in the path of addresses and not in the host name.",
        json_schema_extra=_S3,
    )
    max_megabytes: int = Field(
        default=10_240,
        ge=1,
        le=1_000_000,
        description="Largest file that is fetched, in MB.",
        json_schema_extra={"more": True},
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.folder is None) == (not self.urls):
            raise ValueError("give either a folder or addresses")
        schemes = {url.partition("://")[0] for url in self.urls}
        if "s3" in schemes and len(self.urls) > 1:
            raise ValueError("give one s3:// address for a source, and no others beside it")
        if sum(urlsplit(url).path.endswith("/") for url in self.urls) > 1:
            raise ValueError("give one address that ends with / for a source")
        return self

    @field_validator("urls")
    @classmethod
    def _can_be_fetched(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if url.startswith("s3://"):
                if not _BUCKET.match(url):
                    raise ValueError("write a bucket as s3://bucket/prefix/")
                continue
            try:
                checked_url(url)
            except UrlRefusedError as error:
                raise ValueError(f"{error.message} {error.hint}") from None
        return urls

    @field_validator("s3_endpoint")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url:
            try:
                checked_url(url)
            except UrlRefusedError as error:
                raise ValueError(f"{error.message} {error.hint}") from None
        return url


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
