import hashlib
import os
import signal
import struct
from datetime import UTC, datetime

import duckdb
import pytest

from agnes_site.core import failpoints
from catalog.connectors import Attach, QueryMode
from extracts.engine.contract import (
    DataFile,
    ExtractBusyError,
    ExtractDamagedError,
    ExtractInvalidError,
    ExtractTable,
    ExtractVersionUnsupportedError,
    LeftOut,
    data_file_name,
    prepare_extract,
    read_extract,
    write_extract,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def write_parquet(path, query="SELECT 1 AS id, 'a' AS letter"):
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


@pytest.fixture
def store(tmp_path):
    """Add files to a store as publish leaves them: read-only, with names that say nothing."""

    def add(query="SELECT 1 AS id, 'a' AS letter"):
        path = write_parquet(tmp_path / "store" / "new", query)
        stored_at = path.with_name(hashlib.sha256(path.read_bytes()).hexdigest())
        path.rename(stored_at)
        stored_at.chmod(0o444)
        return stored_at

    return add


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "extracts" / "crm"


def table(name, *stored, **fields):
    alone = len(stored) == 1
    files = tuple(
        DataFile(data_file_name(table=name, ordinal=i, key=f"p{i}", alone=alone), path)
        for i, path in enumerate(stored)
    )
    return ExtractTable(
        **{"name": name, "rows": 1, "size_bytes": 10, "extracted_at": NOON, "files": files} | fields
    )


def ask(path, sql):
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def names_below(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".links.json"
    )


class TestDataFileName:
    def test_is_the_table_for_its_only_file(self):
        assert data_file_name(table="orders") == "orders.parquet"

    def test_has_ordinal_and_key_for_one_of_several(self):
        name = data_file_name(table="orders", ordinal=3, key="2026-05", alone=False)

        assert name == "orders/3-2026-05.parquet"

    def test_makes_a_key_harmless(self):
        name = data_file_name(table="orders", key="../é/x", alone=False)

        assert name == "orders/0-..___x.parquet"


@pytest.mark.hostile(16)
class TestExtractTable:
    @pytest.mark.parametrize("name", ["../orders", "", "a b", "con"])
    def test_refuses_a_name_that_is_no_slug(self, name, tmp_path):
        with pytest.raises(ValueError, match="name of a table"):
            ExtractTable(name=name, rows=0, size_bytes=0, extracted_at=NOON)

    @pytest.mark.parametrize(
        "file_name", ["other.parquet", "orders/../../x.parquet", "/orders.parquet", "orders/x.csv"]
    )
    def test_refuses_a_file_outside_of_its_own_place(self, file_name, tmp_path):
        with pytest.raises(ValueError, match="cannot be a file"):
            table("orders", files=((file_name, tmp_path / "x"),))


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
        prepared.switch()
        assert names_below(folder / "data") == ["orders.parquet"]

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
        ["regenerate.data_linked", "regenerate.extract_written", "regenerate.extract_replaced"],
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


@pytest.mark.hostile(20)
class TestForeignFilesInOurFolder:
    def test_are_moved_aside_and_named(self, folder, store):
        write_extract(folder, [table("orders", store()), table("split", store(), store())])
        (folder / "notes.txt").write_text("notes")
        (folder / "data/mine.parquet").write_text("mine")
        (folder / "data/split/mine.parquet").write_text("mine too")
        (folder / "data/sub").mkdir()

        written = write_extract(folder, [table("orders", store())])

        endings = sorted(path.name.partition("-")[2] for path in written.moved_aside)
        assert endings == ["data-mine.parquet", "data-split-mine.parquet", "data-sub", "notes.txt"]
        assert all(path.parent == folder / "foreign" for path in written.moved_aside)
        assert all(path.exists() for path in written.moved_aside)
        assert names_below(folder / "data") == ["orders.parquet"]

    def test_do_not_take_the_place_of_ours(self, folder, store):
        stored_at = store()
        write_extract(folder, [table("orders", stored_at)])
        (folder / "data/orders.parquet").unlink()
        (folder / "data/orders.parquet").write_text("theirs")

        written = write_extract(folder, [table("orders", stored_at)])

        assert [path.read_text() for path in written.moved_aside] == ["theirs"]
        assert ask(folder / "extract.duckdb", "FROM orders") == [(1, "a")]

    def test_include_links_that_lead_elsewhere(self, folder, store, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "orders.parquet").write_text("precious")
        folder.mkdir(parents=True)
        (folder / "data").symlink_to(elsewhere)
        (folder / "foreign").symlink_to(elsewhere)

        written = write_extract(folder, [table("orders", store())])

        assert len(written.moved_aside) == 1
        assert not (folder / "data").is_symlink()
        assert [path.name for path in elsewhere.iterdir()] == ["orders.parquet"]
        assert (elsewhere / "orders.parquet").read_text() == "precious"

    def test_include_an_extract_that_we_did_not_write(self, folder, store):
        ours = write_extract(folder, [table("orders", store())])
        theirs = b"theirs"

        kept = prepare_extract(folder, [table("orders", store())], own=[ours.sha256])
        kept.switch()
        (folder / "extract.duckdb").write_bytes(theirs)
        moved = prepare_extract(folder, [table("orders", store())], own=[kept.sha256])

        assert kept.moved_aside == ()
        assert [path.read_bytes() for path in moved.moved_aside] == [theirs]

    def test_cannot_make_us_remove_a_file_elsewhere(self, folder, store, tmp_path):
        victim = tmp_path / "victim"
        victim.write_text("precious")
        write_extract(folder, [table("orders", store())])
        (folder / ".links.json").write_text(
            f'{{"../../../victim": [{victim.stat().st_ino}], "{victim}": [{victim.stat().st_ino}]}}'
        )

        write_extract(folder, [])

        assert victim.read_text() == "precious"


@pytest.fixture
def foreign(tmp_path):
    """Write a foreign extract with the given statements; ``{folder}`` is its place."""
    folder = tmp_path / "extracts" / "shop"
    write_parquet(folder / "data/orders.parquet")
    write_parquet(folder / "data/months/2026-01.parquet")
    write_parquet(folder / "data/months/2026-02.parquet")

    def write(*statements):
        path = folder / "extract.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(path) as connection:
            for statement in statements:
                connection.execute(statement.replace("{folder}", str(folder)))
        return path

    return write


META = (
    "CREATE TABLE _meta (table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT,"
    " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local')"
)


def meta_row(name, mode="local"):
    return f"INSERT INTO _meta VALUES ('{name}', '', 2, 3, '2026-05-04 12:00:00', '{mode}')"


class TestReadExtract:
    def test_reports_what_meta_says(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE t (id INTEGER NOT NULL, d DECIMAL(10, 2))",
            "COMMENT ON COLUMN t.d IS 'In euros'",
            "INSERT INTO _meta VALUES ('t', 'All', 2, 3, '2026-05-04 12:00:00', 'materialized')",
        )

        (found,) = read_extract(path).tables

        assert (found.name, found.description, found.rows, found.size_bytes) == ("t", "All", 2, 3)
        assert found.extracted_at == NOON
        assert found.query_mode is QueryMode.MATERIALIZED
        assert found.needs_evaluation
        assert [(c.name, c.type, c.nullable, c.description) for c in found.columns] == [
            ("id", "INTEGER", False, ""),
            ("d", "DECIMAL(10,2)", True, "In euros"),
        ]

    def test_accepts_integer_counts_and_missing_optional_columns(self, foreign):
        path = foreign(
            "CREATE TABLE _meta (table_name VARCHAR, rows INTEGER)",
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', NULL)",
        )

        (found,) = read_extract(path).tables

        assert (found.rows, found.size_bytes, found.query_mode) == (0, 0, QueryMode.LOCAL)
        assert found.extracted_at is None

    @pytest.mark.parametrize(
        "source",
        [
            "read_parquet('{folder}/data/orders.parquet')",
            "parquet_scan('{folder}/data/orders.parquet')",
            "'{folder}/data/orders.parquet'",
            "read_parquet(['{folder}/data/orders.parquet'], union_by_name = true)",
        ],
    )
    def test_finds_the_file_of_a_plain_view(self, foreign, source):
        path = foreign(META, f"CREATE VIEW orders AS SELECT * FROM {source}", meta_row("orders"))

        (found,) = read_extract(path).tables

        assert found.files == (path.parent / "data/orders.parquet",)

    def test_finds_the_files_of_a_glob(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW months AS FROM read_parquet('{folder}/data/months/*.parquet')",
            meta_row("months"),
        )

        (found,) = read_extract(path).tables

        assert [file.name for file in found.files] == ["2026-01.parquet", "2026-02.parquet"]

    def test_finds_no_files_where_they_are_gone(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW months AS FROM read_parquet('{folder}/data/months/*.parquet')",
            meta_row("months"),
        )
        for file in (path.parent / "data/months").iterdir():
            file.unlink()

        (found,) = read_extract(path).tables

        assert found.files == ()

    @pytest.mark.parametrize(
        "select",
        [
            "SELECT id + 1 AS id FROM read_parquet('{folder}/data/orders.parquet')",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') WHERE id > 0",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') LIMIT 1",
            "SELECT DISTINCT * FROM read_parquet('{folder}/data/orders.parquet')",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet', filename = true)",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet'), range(2)",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') USING SAMPLE 1",
        ],
    )
    def test_leaves_the_rest_to_evaluation(self, foreign, select):
        path = foreign(META, f"CREATE VIEW orders AS {select}", meta_row("orders"))

        (found,) = read_extract(path).tables

        assert found.files is None
        assert found.needs_evaluation

    def test_leaves_renamed_columns_to_evaluation(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW orders (x, y) AS FROM read_parquet('{folder}/data/orders.parquet')",
            meta_row("orders"),
        )

        assert read_extract(path).tables[0].needs_evaluation

    def test_leaves_folders_that_add_columns_to_evaluation(self, foreign):
        path = foreign(META)
        write_parquet(path.parent / "data/hive/month=1/a.parquet")
        path = foreign(
            META,
            "CREATE VIEW hive AS FROM read_parquet('{folder}/data/hive/*/*.parquet')",
            meta_row("hive"),
        )

        (found,) = read_extract(path).tables

        assert [column.name for column in found.columns] == ["id", "letter", "month"]
        assert found.needs_evaluation

    @pytest.mark.hostile(20)
    def test_takes_no_file_from_outside_its_folder_for_its_own(self, foreign, tmp_path):
        write_parquet(tmp_path / "outside.parquet")
        path = foreign(META)
        (path.parent / "data/link.parquet").symlink_to(tmp_path / "outside.parquet")
        path = foreign(
            META,
            f"CREATE VIEW direct AS FROM read_parquet('{tmp_path}/outside.parquet')",
            f"CREATE VIEW dots AS FROM read_parquet('{path.parent}/../../outside.parquet')",
            f"CREATE VIEW globbed AS FROM read_parquet('{tmp_path}/*.parquet')",
            "CREATE VIEW linked AS FROM read_parquet('{folder}/data/link.parquet')",
            *map(meta_row, ["direct", "dots", "globbed", "linked"]),
        )

        assert [found.files for found in read_extract(path).tables] == [None] * 4

    def test_reports_remote_tables_and_their_catalog(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE _remote_attach (alias VARCHAR, extension VARCHAR, url VARCHAR,"
            " token_env VARCHAR)",
            "INSERT INTO _remote_attach VALUES ('kbc', 'keboola', 'https://x', 'KBC_TOKEN')",
            "ATTACH ':memory:' AS kbc",
            "CREATE TABLE kbc.main.t (a INTEGER)",
            "CREATE VIEW sales AS SELECT * FROM kbc.main.t",
            meta_row("sales", "remote"),
        )

        extract = read_extract(path)

        assert extract.remote == (
            Attach(alias="kbc", extension="keboola", url="https://x", token_name="KBC_TOKEN"),
        )
        assert extract.tables[0].is_remote
        assert not extract.tables[0].needs_evaluation

    def test_skips_and_names_rows_it_cannot_use(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE good AS SELECT 1 AS a",
            'CREATE TABLE "x; y" AS SELECT 1 AS a',
            *map(meta_row, ["good", "GOOD", "missing", "../x", "x; y", "_meta"]),
            "CREATE TABLE odd AS SELECT 1 AS a",
            meta_row("odd", "sometimes"),
        )

        extract = read_extract(path)

        assert [found.name for found in extract.tables] == ["good"]
        assert {left.table: left.reason for left in extract.skipped} == {
            "GOOD": "The extract lists this table twice.",
            "missing": "The extract has no table or view of this name.",
            "../x": "This cannot be the name of a table.",
            "x; y": "This cannot be the name of a table.",
            "_meta": "This cannot be the name of a table.",
            "odd": "There is no query mode 'sometimes'.",
        }

    def test_looks_only_for_the_table_it_is_asked_for(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE orders AS SELECT 1 AS a",
            "CREATE TABLE people AS SELECT 1 AS a",
            *map(meta_row, ["orders", "people", "../x"]),
        )

        extract = read_extract(path, only="People")

        assert [found.name for found in extract.tables] == ["people"]
        assert extract.skipped == ()

    @pytest.mark.hostile(21)
    def test_survives_counts_that_no_database_has(self, foreign):
        path = foreign(
            "CREATE TABLE _meta (table_name VARCHAR, rows UBIGINT, size_bytes INTEGER)",
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', 18446744073709551615, -1)",
        )

        (found,) = read_extract(path).tables

        assert (found.rows, found.size_bytes) == (2**63 - 1, 0)

    @pytest.mark.hostile(21)
    def test_survives_dates_that_python_has_not(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', '', 1, 1, 'infinity', 'local')",
        )

        assert read_extract(path).tables[0].extracted_at is None

    def test_accepts_a_view_in_the_place_of_meta(self, foreign):
        path = foreign(
            "CREATE TABLE good AS SELECT 1 AS a",
            "CREATE VIEW _meta AS SELECT 'good' AS table_name",
        )

        assert [found.name for found in read_extract(path).tables] == ["good"]

    @pytest.mark.hostile(20)
    def test_evaluates_nothing_that_lies_outside(self, foreign, tmp_path):
        (tmp_path / "secret.csv").write_text("table_name\ngood\n")
        path = foreign(
            "CREATE TABLE good AS SELECT 1 AS a",
            f"CREATE VIEW _meta AS SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        )

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE unrelated (a INTEGER)",
            "CREATE TABLE _meta (name VARCHAR)",
            "CREATE TABLE _meta (table_name VARCHAR, rows VARCHAR)",
        ],
    )
    def test_refuses_a_database_that_does_not_keep_the_contract(self, foreign, statement):
        with pytest.raises(ExtractInvalidError):
            read_extract(foreign(statement))

    @pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 20_000])
    def test_refuses_what_is_no_database(self, foreign, content):
        path = foreign(META)
        path.write_bytes(content)

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    def test_refuses_a_file_that_is_cut_off(self, foreign):
        path = foreign(META, "CREATE TABLE t AS SELECT 1 AS a", meta_row("t"))
        path.write_bytes(path.read_bytes()[:6000])

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    @pytest.mark.hostile(20)
    def test_refuses_a_missing_file_and_a_link(self, foreign, tmp_path):
        path = foreign(META)
        (tmp_path / "link.duckdb").symlink_to(path)

        with pytest.raises(ExtractDamagedError):
            read_extract(tmp_path / "missing.duckdb")
        with pytest.raises(ExtractDamagedError):
            read_extract(tmp_path / "link.duckdb")

    @pytest.mark.hostile(48)
    def test_tells_a_newer_storage_format_from_damage(self, foreign):
        path = foreign(META)
        path.write_bytes(of_storage_version(path.read_bytes(), 99))

        with pytest.raises(ExtractVersionUnsupportedError) as raised:
            read_extract(path)

        assert raised.value.details["storage_version"] == 99

    def test_asks_to_come_back_while_the_producer_writes(self, foreign):
        path = foreign(META)
        ready, done = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            connection = duckdb.connect(path)
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            connection.close()
            os._exit(0)
        os.read(ready[0], 1)

        try:
            with pytest.raises(ExtractBusyError):
                read_extract(path)
        finally:
            os.write(done[1], b"x")
            os.waitpid(pid, 0)
            for descriptor in (*ready, *done):
                os.close(descriptor)


def of_storage_version(content, version):
    """Return a database file as a DuckDB with another storage version would head it."""
    head = bytearray(content[:4096])
    head[12:20] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", head[8:]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    head[:8] = struct.pack("<Q", checksum)
    return bytes(head) + content[4096:]
