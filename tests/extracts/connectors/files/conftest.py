"""A folder of files, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from extracts.engine.publish import validate
from tests.extracts.connectors.files.extracting import extract


class Extracted:
    """What one extract brought: rows, types, notes, and the rows that were set aside."""

    def __init__(self, result) -> None:
        (part,) = result.parts
        self.columns = validate(part.path, expected_rows=part.rows).columns
        self.rows = pq.read_table(part.path).to_pylist()
        self.types = {column.name: column.type for column in self.columns}
        self.notes = result.notes
        self.rejected = result.rejected


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def extracted(folder) -> Callable[..., Extracted]:
    """Extract a table of the folder, each time into a folder of its own."""
    runs = iter(range(1_000_000))

    def bring(source_table: str, **options) -> Extracted:
        return Extracted(extract(folder, source_table, run=f"run-{next(runs)}", **options))

    return bring
