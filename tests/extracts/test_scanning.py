"""Finding what other producers leave in ``extracts/``."""

from __future__ import annotations

import os

import pytest

from extracts.models import Run, RunKind
from extracts.services import scanning
from tests.factories import SourceFactory


@pytest.mark.django_db
class TestScan:
    @pytest.mark.timeout(20)
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
    def test_has_what_is_no_file_set_aside_in_a_folder_of_ours(self, layout, make):
        source = SourceFactory(slug="shop", extract_hashes=["00"])
        (layout.extracts / "shop").mkdir()
        make(layout.extracts / "shop" / "extract.duckdb")

        scanning.scan()

        assert Run.objects.get(source=source).kind == RunKind.REBUILD
