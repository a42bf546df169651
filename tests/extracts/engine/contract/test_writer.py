from __future__ import annotations

import errno
import hashlib
import os
import signal

import duckdb
import pytest

from agnes_site.core import failpoints, storage
from catalog.connectors import Attach, QueryMode
from extracts.engine.contract import LeftOut, prepare_extract, read_extract, switch_all
from tests.extracts.engine.contract.folders import (
    NOON,
    ask,
    names_below,
    switch,
    table,
    write_extract,
)


class TestWriteExtract:
    def test_shows_a_table_in_meta_and_as_a_view(self, folder, store):
        write_extract(folder, [table("orders", store(), rows=7, description="What was sold")])

        path = folder / "extract.duckdb"
        assert ask(path, "FROM _meta") == [
            ("orders", "What was sold", 7, 10, NOON.replace(tzinfo=None), "local")
        ]
        assert ask(path, "FROM orders") == [(1, "a")]

    def test_gives_meta_the_columns_of_the_contract(self, folder, store):
        write_extract(folder, [table("orders", store())])

        columns = ask(
            folder / "extract.duckdb",
            "SELECT column_name, data_type, is_nullable, column_default FROM duckdb_columns()"
            " WHERE table_name = '_meta'",
        )
        assert columns == [
            ("table_name", "VARCHAR", False, None),
            ("description", "VARCHAR", True, None),
            ("rows", "BIGINT", True, None),
            ("size_bytes", "BIGINT", True, None),
            ("extracted_at", "TIMESTAMP", True, None),
            ("query_mode", "VARCHAR", True, "'local'"),
        ]

    def test_links_the_stored_file_instead_of_copying_it(self, folder, store):
        stored_at = store()

        write_extract(folder, [table("orders", stored_at)])

        linked = folder / "data/orders.parquet"
        assert linked.stat().st_ino == stored_at.stat().st_ino
        assert not linked.is_symlink()

    def test_joins_the_parts_of_a_table_by_column_name(self, folder, store):
        parts = store("SELECT 1 AS id"), store("SELECT 'b' AS letter, 2 AS id")

        write_extract(folder, [table("orders", *parts)])

        rows = ask(folder / "extract.duckdb", "SELECT id, letter FROM orders ORDER BY id")
        assert rows == [(1, None), (2, "b")]
        assert names_below(folder / "data") == ["orders/0-p0.parquet", "orders/1-p1.parquet"]

    def test_has_a_table_for_remote_catalogs_only_if_there_is_one(self, folder, store):
        bq = Attach(alias="bq", extension="bigquery", url="project=it's")
        sales = table("sales", query_mode=QueryMode.REMOTE, rows=0, size_bytes=0)

        write_extract(folder, [table("orders", store())])
        tables_without = ask(folder / "extract.duckdb", "SELECT table_name FROM duckdb_tables()")
        write_extract(folder, [sales], remote=[bq])

        assert tables_without == [("_meta",)]
        assert ask(folder / "extract.duckdb", "FROM _remote_attach") == [
            ("bq", "bigquery", "project=it's", "")
        ]
        assert ask(folder / "extract.duckdb", "SELECT table_name, query_mode FROM _meta") == [
            ("sales", "remote")
        ]

    def test_is_read_back_as_plain_files(self, folder, store):
        write_extract(
            folder, [table("orders", store()), table("parts", store(), store("SELECT 2"))]
        )

        orders, parts = read_extract(folder / "extract.duckdb").tables

        assert orders.files == (folder / "data/orders.parquet",)
        assert parts.files == (
            folder / "data/parts/0-p0.parquet",
            folder / "data/parts/1-p1.parquet",
        )

    def test_leaves_no_temporary_file_behind(self, folder, store):
        folder.mkdir(parents=True)
        (folder / "extract.duckdb.wal").write_bytes(b"stale")
        (folder / "extract.duckdb.tmp").write_bytes(b"stale")
        (folder / "extract.duckdb.tmp.wal").write_bytes(b"stale")

        write_extract(folder, [table("orders", store())])

        assert names_below(folder) == ["data/orders.parquet", "extract.duckdb"]

    def test_leaves_a_table_out_whose_file_is_missing_or_broken(self, folder, store, tmp_path):
        broken = tmp_path / "store/broken"
        good = store()
        broken.write_bytes(b"PAR1 nothing PAR1")

        written = write_extract(
            folder, [table("gone", tmp_path / "gone"), table("broken", broken), table("good", good)]
        )

        assert written.left_out == (
            LeftOut(table="gone", reason="A file of the table is missing."),
            LeftOut(table="broken", reason="Its files are not readable Parquet."),
        )
        assert ask(folder / "extract.duckdb", "SELECT table_name FROM _meta") == [("good",)]

    def test_leaves_out_names_it_cannot_give(self, folder, store):
        tables = [table("_meta", store()), table("orders", store()), table("ORDERS", store())]

        written = write_extract(folder, tables)

        assert [left.table for left in written.left_out] == ["_meta", "ORDERS"]

    def test_keeps_an_open_reader_working(self, folder, store):
        write_extract(folder, [table("orders", store())])
        with duckdb.connect(folder / "extract.duckdb", read_only=True) as reader:
            write_extract(folder, [table("orders", store("SELECT 2 AS id, 'b' AS letter"))])

            assert reader.execute("SELECT count(*) FROM orders").fetchone() == (1,)

    def test_gives_the_sha256_of_the_file_in_place(self, folder, store):
        written = write_extract(folder, [table("orders", store())])

        content = (folder / "extract.duckdb").read_bytes()
        assert written.sha256 == hashlib.sha256(content).hexdigest()


class TestRegenerating:
    def test_changes_nothing_visible_before_the_switch(self, folder, store):
        write_extract(folder, [table("orders", store()), table("old", store())])
        before = (folder / "extract.duckdb").read_bytes()

        prepared = prepare_extract(folder, [table("orders", store())])

        assert (folder / "extract.duckdb").read_bytes() == before
        assert ask(folder / "extract.duckdb", "SELECT count(*) FROM old") == [(1,)]
        switch(prepared)
        assert names_below(folder / "data") == ["orders.parquet"]

    def test_leaves_what_the_disk_refuses_and_switches_the_others(
        self, folder, store, monkeypatch, tmp_path
    ):
        other = tmp_path / "other"
        for place in (folder, other):
            write_extract(place, [table("orders", store())])
        second = store("SELECT 2 AS id")
        prepared = [prepare_extract(each, [table("orders", second)]) for each in (folder, other)]

        def fsync(path, really=storage.fsync_file):
            if path == folder / "extract.duckdb.tmp":
                raise OSError(errno.EIO, "Input/output error", str(path))
            really(path)

        monkeypatch.setattr(storage, "fsync_file", fsync)
        failed = switch_all(prepared)

        assert failed.keys() == {folder}
        hashes = [
            hashlib.sha256((each / "extract.duckdb").read_bytes()) for each in (folder, other)
        ]
        assert hashes[0].hexdigest() != prepared[0].sha256
        assert hashes[1].hexdigest() == prepared[1].sha256

    def test_replaces_files_and_removes_those_of_tables_that_are_gone(self, folder, store):
        new = store("SELECT 2 AS id")
        write_extract(folder, [table("orders", store()), table("split", store(), new)])

        written = write_extract(folder, [table("orders", new)])

        assert names_below(folder) == ["data/orders.parquet", "extract.duckdb"]
        assert not (folder / "data/split").exists()
        assert ask(folder / "extract.duckdb", "FROM orders") == [(2,)]
        assert written.moved_aside == ()

    def test_keeps_the_link_of_a_file_that_the_store_lost(self, folder, store):
        stored_at = store()
        write_extract(folder, [table("orders", stored_at)])
        stored_at.unlink()

        write_extract(folder, [table("orders", stored_at)])

        assert (folder / "data/orders.parquet").exists()

    @pytest.mark.parametrize(
        "point",
        [
            "regenerate.links_announced",
            "regenerate.data_linked",
            "regenerate.extract_written",
            "regenerate.extract_replaced",
        ],
    )
    def test_heals_after_a_kill_without_suspecting_its_own_files(self, folder, store, point):
        first, second, third = store(), store("SELECT 2 AS id"), store("SELECT 3 AS id")
        write_extract(folder, [table("orders", first), table("old", first)])
        pid = os.fork()
        if pid == 0:
            failpoints.arm(point)
            write_extract(folder, [table("orders", second), table("new", second, third)])
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        assert ask(folder / "extract.duckdb", "SELECT count(*) FROM orders") == [(1,)]

        written = write_extract(folder, [table("orders", third)])

        assert written.moved_aside == ()
        assert names_below(folder) == ["data/orders.parquet", "extract.duckdb"]
        assert ask(folder / "extract.duckdb", "FROM orders") == [(3,)]
