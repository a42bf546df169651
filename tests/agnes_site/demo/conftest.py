from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from agnes_site.demo import generator


@pytest.fixture(scope="session")
def company() -> Iterator[duckdb.DuckDBPyConnection]:
    """A small company, for tests that only read it."""
    with generator.connect(scale=0.2) as connection:
        yield connection
