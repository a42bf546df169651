"""What every journey may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.installation import Installation


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Iterator[Installation]:
    """An installation that nothing runs in: others begin as its copies."""
    made = Installation(tmp_path_factory.mktemp("migrated"))
    yield made
    made.stop()
