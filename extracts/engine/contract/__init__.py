"""Reads and writes ``extract.duckdb``, the contract between a source and whoever reads it.

A folder ``extracts/<source>/`` holds ``data/`` with Parquet files and ``extract.duckdb`` with a
view per table, a table ``_meta`` that lists them and, for remote tables, ``_remote_attach``.
Anything that leaves such a folder is a source.
"""

from __future__ import annotations

from extracts.engine.contract.folder import ExtractFolder, extract_hash, is_written_by_us
from extracts.engine.contract.opening import (
    ExtractBusyError,
    ExtractDamagedError,
    ExtractVersionUnsupportedError,
    connect,
)
from extracts.engine.contract.reader import Extract, ExtractInvalidError, InnerTable, read_extract
from extracts.engine.contract.shape import (
    EXTRACT_NAME,
    DataFile,
    ExtractTable,
    LeftOut,
    data_file_name,
)
from extracts.engine.contract.writer import PreparedExtract, prepare_extract, switch_all

__all__ = [
    "EXTRACT_NAME",
    "DataFile",
    "Extract",
    "ExtractBusyError",
    "ExtractDamagedError",
    "ExtractFolder",
    "ExtractInvalidError",
    "ExtractTable",
    "ExtractVersionUnsupportedError",
    "InnerTable",
    "LeftOut",
    "PreparedExtract",
    "connect",
    "data_file_name",
    "extract_hash",
    "is_written_by_us",
    "prepare_extract",
    "read_extract",
    "switch_all",
]
