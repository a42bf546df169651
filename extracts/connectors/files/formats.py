"""What a file is, as its name says it: a format, and how it is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """How the rows of a table are written in a file."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    EXCEL = "excel"

    @property
    def label(self) -> str:
        """What people call it."""
        return _TITLES.get(self, self.value.upper())


_TITLES = {Format.EXCEL: "Excel", Format.PARQUET: "Parquet"}


class Compression(StrEnum):
    """How a whole file is compressed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True, kw_only=True)
class NamedFormat:
    """What the name of a file says: ``suffix`` is the part of the name that says it."""

    format: Format | None
    compression: Compression
    suffix: str


_FORMATS = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".json": Format.JSON,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".parquet": Format.PARQUET,
    ".xlsx": Format.EXCEL,
    ".xlsm": Format.EXCEL,
    ".xlsb": Format.EXCEL,
    ".xls": Format.EXCEL,
    ".ods": Format.EXCEL,
}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}

SUFFIXES = tuple(sorted(_FORMATS))


def named_format(name: str) -> NamedFormat:
    """Return what ``name`` says about a file; its format is ``None`` where it says nothing."""
    lower = name.lower()
    packed = next((ending for ending in _COMPRESSIONS if lower.endswith(ending)), "")
    plain = lower.removesuffix(packed)
    ending = next((ending for ending in _FORMATS if plain.endswith(ending)), "")
    return NamedFormat(
        format=_FORMATS.get(ending),
        compression=_COMPRESSIONS.get(packed, Compression.NONE),
        suffix=ending + packed,
    )


def split_sheet(source_table: str) -> tuple[str, str]:
    """Return the files of a table and the sheet in them: ``book.xlsx#Orders`` has one."""
    files, sign, sheet = source_table.rpartition("#")
    has_sheet = sign and named_format(source_table).format is None
    if has_sheet and named_format(files).format is Format.EXCEL:
        return files, sheet
    return source_table, ""
