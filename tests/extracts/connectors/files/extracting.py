"""Extracts tables of files in a folder, and reads what came of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.files.connector import FilesConnector
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.candidate import Candidate
from extracts.engine.publish import validate
from tests.extracts.connectors.contract import TEST_REACH


def files_connector(**given) -> FilesConnector:
    return FilesConnector(**given).within(TEST_REACH)


def request_of(source_table: str, *, key=(), known=(), **options) -> ExtractRequest:
    return ExtractRequest(
        table=TableRequest(
            name="t",
            source_table=source_table,
            primary_key=key,
            known_columns=known,
            options=FilesTable(**options),
        )
    )


def extract(folder: Path, source_table: str, *, run: str = "run", **request):
    out = Candidate(folder.parent / run)
    config = FilesConfig(folder=folder)
    return files_connector().extract(config, {}, request_of(source_table, **request), out)


def rows_of(folder: Path, source_table: str, **request) -> list[dict]:
    (part,) = extract(folder, source_table, **request).parts
    validate(part.path, expected_rows=part.rows)
    return pq.read_table(part.path).to_pylist()


def types_of(folder: Path, source_table: str, **request) -> dict[str, str]:
    (part,) = extract(folder, source_table, **request).parts
    columns = validate(part.path, expected_rows=part.rows).columns
    return {column.name: column.type for column in columns}


def peak_mib() -> int:
    """Return the most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
