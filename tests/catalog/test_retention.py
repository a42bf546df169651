"""What is kept of older versions, and which files may go."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from agnes_site.core import storage
from catalog.services import retention, versions
from catalog.services.versions import Combined
from tests.factories import TableFactory, publish, stored_file, stored_part

HOUR = 3600


def _age(layout, seconds: float) -> None:
    then = time.time() - seconds
    for file in layout.store.rglob("*"):
        if file.is_file():
            os.utime(file, (then, then))


def _collected(layout) -> set[str]:
    removed = retention.collect_garbage(store=layout.store, older_than_seconds=HOUR)
    return {path.stem for path in removed}


def _collected_apart(layout) -> set[str]:
    try:
        return _collected(layout)
    finally:
        connection.close()


def _in_store(layout) -> set[str]:
    return {path.stem for path in layout.store.rglob("*.parquet")}


class TestThinOut:
    def test_keeps_the_newest(self, db):
        table = TableFactory()
        for number in range(1, 6):
            publish(table, stored_part(number))

        assert retention.thin_out(table=table, kept=2) == 3
        assert list(table.versions.values_list("number", flat=True)) == [5, 4]

    def test_never_takes_the_one_in_service(self, db):
        table = TableFactory()
        for number in range(1, 4):
            publish(table, stored_part(number))
        oldest = table.versions.get(number=1)
        table.current_version = oldest
        table.save()

        retention.thin_out(table=table, kept=1)

        assert set(table.versions.values_list("number", flat=True)) == {1, 3}

    def test_of_all_leaves_short_histories_alone(self, db):
        long, short = TableFactory(), TableFactory()
        for number in range(1, 5):
            publish(long, stored_part(number))
        publish(short, stored_part(9))

        assert retention.thin_out_all(kept=3) == 1
        assert (long.versions.count(), short.versions.count()) == (3, 1)


@pytest.mark.hostile(55)
class TestCollectGarbage:
    @pytest.fixture
    def table(self, layout, db):
        return TableFactory()

    def test_removes_what_no_version_names(self, layout, table):
        old, new = stored_file(layout, b"old"), stored_file(layout, b"new")
        publish(table, old)
        publish(table, new)
        _age(layout, 2 * HOUR)
        assert _collected(layout) == set()

        retention.thin_out(table=table, kept=1)

        assert _collected(layout) == {old.sha256}
        assert _in_store(layout) == {new.sha256}

    def test_keeps_a_combined_file(self, layout, table):
        part, other = stored_file(layout, b"a", key="a"), stored_file(layout, b"b", key="b")
        whole = stored_file(layout, b"ab")
        combined = Combined(sha256=whole.sha256, md5=whole.md5, bytes=whole.bytes)
        publish(table, part, other, combined=combined)
        _age(layout, 2 * HOUR)

        assert _collected(layout) == set()

    def test_keeps_what_another_table_or_version_shares(self, layout, table):
        shared = stored_file(layout, b"shared")
        publish(table, shared)
        publish(table, stored_file(layout, b"newer"))
        publish(TableFactory(), shared)
        retention.thin_out(table=table, kept=1)
        _age(layout, 2 * HOUR)

        assert _collected(layout) == set()

    def test_keeps_what_was_written_a_moment_ago(self, layout, table):
        fresh = stored_file(layout, b"about to be committed")

        assert _collected(layout) == set()
        _age(layout, 2 * HOUR)
        assert _collected(layout) == {fresh.sha256}

    @pytest.mark.django_db(transaction=True)
    def test_keeps_what_a_publish_takes_up_at_this_moment(self, layout, table):
        old = layout.stored(stored_file(layout, b"published once").sha256)
        _age(layout, 2 * HOUR)

        with ThreadPoolExecutor() as executor:
            with storage.locked(old.parent):
                collecting = executor.submit(_collected_apart, layout)
                time.sleep(0.3)
                os.utime(old)
            assert collecting.result() == set()

        assert old.exists()

    def test_keeps_the_file_of_a_version_rolled_back_to(self, layout, table):
        old = stored_file(layout, b"old")
        publish(table, old)
        publish(table, stored_file(layout, b"bad"))
        versions.roll_back(table=table, number=1, by=None)
        table.refresh_from_db()
        retention.thin_out(table=table, kept=1)
        _age(layout, 2 * HOUR)
        _collected(layout)

        assert _in_store(layout) == {old.sha256}

    def test_leaves_foreign_files_alone(self, layout, table):
        (layout.store / "README.txt").write_text("not ours")
        folder = layout.store / "ab"
        folder.mkdir()
        (folder / "note.txt").write_text("not ours")
        _age(layout, 2 * HOUR)

        assert _collected(layout) == set()
        assert (folder / "note.txt").exists()
