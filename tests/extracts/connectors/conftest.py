from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.extracts.connectors import postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server of our own."""
    if not (postgres_server.PROGRAMS / "initdb").exists():
        pytest.skip("PostgreSQL's initdb is not installed")
    with postgres_server.running() as server:
        yield server
