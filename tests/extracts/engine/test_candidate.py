"""A candidate holds the parts of one run, each in a file of its own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extracts.engine.candidate import (
    Candidate,
    PartKeyError,
)
from extracts.engine.validation import DamagedFileError


@pytest.fixture
def candidate(tmp_path) -> Candidate:
    return Candidate(tmp_path / "run")


def rows(*ids: int) -> pa.RecordBatchReader:
    return pa.table({"id": pa.array(ids, pa.int64())}).to_reader()


class TestCandidate:
    def test_writes_each_part_to_its_own_file(self, candidate):
        parts = (
            candidate.write(rows(1, 2), key="2025-01"),
            candidate.write(rows(3), key="2025-02"),
        )

        assert [(part.key, part.rows) for part in parts] == [("2025-01", 2), ("2025-02", 1)]
        assert [pq.read_table(part.path)["id"].to_pylist() for part in parts] == [[1, 2], [3]]

    def test_takes_a_copy_that_later_changes_do_not_touch(self, candidate, tmp_path):
        path = tmp_path / "theirs.parquet"
        pq.write_table(pa.table({"x": [1, 2, 3]}), path)
        before = path.read_bytes()

        part = candidate.copy(path)
        path.write_bytes(b"something else")

        assert (part.rows, part.bytes, part.path.read_bytes()) == (3, len(before), before)

    def test_takes_no_copy_of_something_else(self, candidate, tmp_path):
        (tmp_path / "page.parquet").write_text("<html></html>")

        with pytest.raises(DamagedFileError, match=r"page\.parquet"):
            candidate.copy(tmp_path / "page.parquet")

    @pytest.mark.parametrize("key", ["../x", "a/b", "a\\b", ".hidden", "end.", "a b", "x" * 200])
    @pytest.mark.hostile(16)
    def test_refuses_keys_that_are_no_file_names(self, candidate, key):
        with pytest.raises(PartKeyError):
            candidate.write(rows(1), key=key)

    def test_refuses_the_same_key_twice(self, candidate):
        candidate.write(rows(1), key="a")

        with pytest.raises(PartKeyError, match="two parts"):
            candidate.write(rows(2), key="A")

    def test_forgets_a_part_that_failed(self, candidate):
        def broken():
            yield pa.record_batch({"id": [1]})
            raise OSError("the source went away")

        schema = pa.schema({"id": pa.int64()})
        with pytest.raises(OSError, match="went away"):
            candidate.write(pa.RecordBatchReader.from_batches(schema, broken()), key="a")

        assert list((candidate.folder / "parts").iterdir()) == []
        assert candidate.write(rows(1, 2), key="a").rows == 2

    def test_reports_what_it_wrote(self, tmp_path):
        seen = []
        candidate = Candidate(
            tmp_path / "run",
            progress=lambda phase, *, done=0, total=None, message="": seen.append((phase, done)),
        )

        candidate.write(rows(1, 2, 3), key="a")
        candidate.write(rows(4), key="b")

        assert seen == [("extract", 3), ("extract", 4)]
