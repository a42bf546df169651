from __future__ import annotations

import hashlib

import duckdb
import pytest

from tests.extracts.engine.contract.folders import write_parquet


@pytest.fixture
def store(tmp_path):
    """Add files to a store as publish leaves them: read-only, with names that say nothing."""

    def add(query="SELECT 1 AS id, 'a' AS letter"):
        path = write_parquet(tmp_path / "store" / "new", query)
        stored_at = path.with_name(hashlib.sha256(path.read_bytes()).hexdigest())
        path.rename(stored_at)
        stored_at.chmod(0o444)
        return stored_at

    return add


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "extracts" / "crm"


@pytest.fixture
def foreign(tmp_path):
    """Write a foreign extract with the given statements; ``{folder}`` is its place."""
    folder = tmp_path / "extracts" / "shop"
    write_parquet(folder / "data/orders.parquet")
    write_parquet(folder / "data/months/2026-01.parquet")
    write_parquet(folder / "data/months/2026-02.parquet")

    def write(*statements):
        path = folder / "extract.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(path) as connection:
            for statement in statements:
                connection.execute(statement.replace("{folder}", str(folder)))
        return path

    return write
