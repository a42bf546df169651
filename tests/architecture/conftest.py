"""What the rules about the whole code look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agnes_site.web import reference
from agnes_site.web.reference import api

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def schema() -> Mapping[str, Any]:
    """The OpenAPI schema as a server would answer with it."""
    return api.schema()


@pytest.fixture(scope="session")
def pages() -> Mapping[str, str]:
    """The generated pages as the code would have them."""
    return reference.pages()
