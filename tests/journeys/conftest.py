"""What every journey may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.installation import Installation


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Iterator[Installation]:
    """An installation that nothing runs in: others begin as its copies."""
    made = Installation(tmp_path_factory.mktemp("migrated"))
    yield made
    made.stop()


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """An installation of which nothing runs."""
    made = Installation(tmp_path, like=migrated)
    yield made
    made.stop()
