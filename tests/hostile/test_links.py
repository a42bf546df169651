"""Links that lead out of a folder, also by a folder on the way: nothing of theirs is served."""

from __future__ import annotations

import duckdb
import pytest

from catalog.models import TableVersion
from extracts.models import RunState
from tests.factories import SourceFactory

pytestmark = pytest.mark.hostile(20)


@pytest.fixture
def outside(tmp_path):
    """A folder that no source may read from, although its file can be read."""
    folder = tmp_path / "outside"
    folder.mkdir()
    duckdb.sql(f"COPY (SELECT 'secret' AS word) TO '{folder / 't.parquet'}' (FORMAT parquet)")
    return folder


@pytest.mark.parametrize("is_folder", [True, False], ids=["folder on the way", "file"])
class TestLink:
    def link(self, folder, outside, *, is_folder):
        if is_folder:
            (folder / "data").symlink_to(outside)
        else:
            (folder / "data").mkdir()
            (folder / "data" / "t.parquet").symlink_to(outside / "t.parquet")
        return folder / "data" / "t.parquet"

    def test_in_a_source_of_files_brings_nothing(
        self, source_folder, outside, run_of, is_up, is_folder
    ):
        self.link(source_folder, outside, is_folder=is_folder)
        source = SourceFactory(config={"folder": str(source_folder)})

        run = run_of(source, "data/t.parquet")

        assert run.state == RunState.FAILED
        assert run.error_code == "source_file_refused"
        assert str(outside) not in run.error_message
        assert not TableVersion.objects.exists()
        assert is_up()

    @pytest.mark.parametrize("columns", ["*", "*, 1 AS one"], ids=["copied", "evaluated"])
    def test_in_a_foreign_extract_brings_nothing(
        self, tmp_path, outside, foreign, run_of, is_up, is_folder, columns
    ):
        (tmp_path / "foreign").mkdir()
        path = self.link(tmp_path / "foreign", outside, is_folder=is_folder)
        view = f"CREATE VIEW t AS SELECT {columns} FROM read_parquet('{path}')"

        run = run_of(foreign("t", view), "t")

        assert (run.state, run.error_code) == (RunState.FAILED, "external_reaches_outside")
        assert not TableVersion.objects.exists()
        assert is_up()
