"""A candidate is a folder that only a finished run describes."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agnes_site.core import failpoints
from catalog.connectors import ExtractResult
from extracts.engine.candidate import (
    Candidate,
    CandidateIncompleteError,
    PartKeyError,
    read_candidate,
)
from extracts.engine.validation import DamagedFileError


@pytest.fixture
def candidate(tmp_path) -> Candidate:
    return Candidate(tmp_path / "run")


def rows(*ids: int) -> pa.RecordBatchReader:
    return pa.table({"id": pa.array(ids, pa.int64())}).to_reader()


class TestCandidate:
    def test_comes_back_as_it_was_finished(self, candidate):
        parts = (
            candidate.write(rows(1, 2), key="2025-01"),
            candidate.write(rows(3), key="2025-02"),
        )
        result = ExtractResult(
            parts=parts,
            removed_parts=("2024-12",),
            is_complete=False,
            state={"since": "2025-02-01"},
            notes=("one file was empty",),
        )

        candidate.finish(result)

        assert read_candidate(candidate.folder) == result
        assert [part.rows for part in parts] == [2, 1]
        assert pq.read_table(parts[1].path)["id"].to_pylist() == [3]

    def test_removes_its_scratch_folder_when_finished(self, candidate):
        (candidate.scratch / "spill").write_text("x")

        candidate.finish(ExtractResult())

        assert sorted(path.name for path in candidate.folder.iterdir()) == [
            "candidate.json",
            "parts",
        ]

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


class TestReadCandidate:
    def test_refuses_an_unfinished_run(self, candidate):
        candidate.write(rows(1))

        with pytest.raises(CandidateIncompleteError):
            read_candidate(candidate.folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"path": "../../etc/passwd"},
            {"path": "00001.parquet"},
            {"key": "../x"},
            {"rows": None},
            {"path": None},
        ],
    )
    def test_trusts_no_description(self, candidate, change):
        candidate.finish(ExtractResult(parts=(candidate.write(rows(1)),)))
        path = candidate.folder / "candidate.json"
        description = json.loads(path.read_text())
        description["parts"][0].update(change)
        path.write_text(json.dumps(description))

        with pytest.raises(CandidateIncompleteError):
            read_candidate(candidate.folder)

    def test_follows_no_link(self, candidate, tmp_path):
        part = candidate.write(rows(1))
        candidate.finish(ExtractResult(parts=(part,)))
        part.path.rename(tmp_path / "elsewhere.parquet")
        part.path.symlink_to(tmp_path / "elsewhere.parquet")

        with pytest.raises(CandidateIncompleteError):
            read_candidate(candidate.folder)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"parts": 1}', "nonsense"])
    def test_refuses_nonsense(self, candidate, text):
        (candidate.folder / "candidate.json").write_text(text)

        with pytest.raises(CandidateIncompleteError):
            read_candidate(candidate.folder)


class TestFailpoints:
    def test_of_a_candidate_exist(self):
        assert {"extract.part_written", "extract.candidate_written"} <= set(failpoints.NAMES)
