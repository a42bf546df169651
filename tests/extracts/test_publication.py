"""Publish: the one door by which a candidate reaches readers."""

from __future__ import annotations

import pyarrow as pa
import pytest
from django.db import IntegrityError

from catalog.services.versions import FencedOffError, take_fencings
from extracts.engine.candidate import Candidate as Folder
from extracts.engine.publish import validate
from extracts.models import Run
from extracts.services import publication
from extracts.services.publication import Candidate, Submission
from tests.factories import TableFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def table(layout):
    return TableFactory(name="issues")


def _run(table) -> Run:
    return Run.objects.create(
        table=table,
        source=table.source,
        fencing=take_fencings([table.pk])[table.pk],
        state="succeeded",
    )


def _parts(tmp_path, **months):
    """Validated files, one a month, each with the numbers given."""
    folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    out = Folder(folder)
    written = [
        out.write(pa.table({"id": pa.array(ids, pa.int64())}).to_reader(), key=month)
        for month, ids in months.items()
    ]
    return [validate(part.path, expected_rows=part.rows, key=part.key) for part in written]


def _publish(table, parts, **options):
    options = {"removed_parts": (), "is_complete": True, "state": {}, **options}
    candidate = Candidate(parts=parts, **options)
    table.refresh_from_db()
    return publication.publish(table=table, run=_run(table), candidate=candidate)


def _shown(version) -> dict[str, int]:
    return dict(version.parts.values_list("key", "rows"))


class TestPublish:
    def test_replaces_one_part_and_keeps_the_others(self, table, layout, tmp_path):
        first, _ = _publish(table, _parts(tmp_path, jan=[1, 2], feb=[3]))
        kept = first.parts.get(key="jan").sha256

        second, is_new = _publish(table, _parts(tmp_path, feb=[3, 4, 5]), is_complete=False)

        assert is_new
        assert _shown(second) == {"feb": 3, "jan": 2}
        assert (second.number, second.rows) == (2, 5)
        assert second.parts.get(key="jan").sha256 == kept
        assert len(list(layout.store.rglob("*.parquet"))) == 3

    def test_removes_a_part(self, table, tmp_path):
        _publish(table, _parts(tmp_path, jan=[1], feb=[2]))

        version, _ = _publish(table, [], is_complete=False, removed_parts=("jan",))

        assert _shown(version) == {"feb": 1}

    def test_leaves_no_table_without_parts(self, table, tmp_path):
        _publish(table, _parts(tmp_path, jan=[1]))

        with pytest.raises(publication.NoPartsError):
            _publish(table, [], is_complete=False, removed_parts=("jan",))

        table.refresh_from_db()
        assert table.current_version.number == 1

    def test_the_same_parts_make_no_new_version_but_keep_the_new_state(self, table, tmp_path):
        _publish(table, _parts(tmp_path, jan=[1]), state={"cursor": 1})

        version, is_new = _publish(table, _parts(tmp_path, jan=[1]), state={"cursor": 2})

        assert not is_new
        assert (version.number, version.extract_state) == (1, {"cursor": 2})

    def test_refuses_a_run_that_was_overtaken(self, table, tmp_path):
        run = _run(table)
        take_fencings([table.pk])
        candidate = Candidate(
            parts=_parts(tmp_path, jan=[1]), removed_parts=(), is_complete=True, state={}
        )

        with pytest.raises(FencedOffError):
            publication.publish(table=table, run=run, candidate=candidate)

        assert not table.versions.exists()

    def test_leaves_stored_files_that_nobody_can_change(self, table, layout, tmp_path):
        _publish(table, _parts(tmp_path, jan=[1]))

        (file,) = layout.store.rglob("*.parquet")
        assert file.stat().st_mode & 0o777 == 0o444

    def test_stores_the_one_file_of_all_parts(self, table, layout, tmp_path):
        (whole,) = _parts(tmp_path, both=[1, 2])

        version, _ = _publish(table, _parts(tmp_path, jan=[1], feb=[2]), combined=whole)

        assert (version.combined_sha256, version.combined_bytes) == (whole.sha256, whole.bytes)
        assert layout.stored(whole.sha256).stat().st_size == whole.bytes


def _submission(table, parts) -> Submission:
    candidate = Candidate(parts=parts, removed_parts=(), is_complete=True, state={})
    return Submission(table=table, run=_run(table), candidate=candidate)


class TestPublishAll:
    def test_a_lost_file_of_one_table_leaves_the_others_alone(self, layout, tmp_path):
        sound, broken = TableFactory.create_batch(2)
        submissions = [
            _submission(table, _parts(tmp_path, jan=[number]))
            for number, table in enumerate([broken, sound])
        ]
        submissions[0].candidate.parts[0].path.unlink()

        failed, committed = publication.publish_all(submissions)

        assert isinstance(failed, FileNotFoundError)
        assert (committed.version.table, committed.is_new) == (sound, True)
        assert not broken.versions.exists()

    def test_what_the_database_refuses_of_one_table_leaves_the_others_alone(self, layout, tmp_path):
        sound, broken = TableFactory.create_batch(2)
        same_key = [*_parts(tmp_path, jan=[1]), *_parts(tmp_path, jan=[2])]
        submissions = [_submission(broken, same_key), _submission(sound, _parts(tmp_path, jan=[3]))]

        failed, committed = publication.publish_all(submissions)

        assert isinstance(failed, IntegrityError)
        assert (committed.version.table, committed.is_new) == (sound, True)
        assert not broken.versions.exists()
