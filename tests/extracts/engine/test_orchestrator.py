import os
import re
import signal

import duckdb
import pytest

from agnes_site.core import failpoints
from catalog.connectors import QueryMode
from extracts.engine import orchestrator
from extracts.engine.orchestrator import (
    AnalyticsDamagedError,
    SourceViews,
    TableViews,
    ViewLeftOut,
    current,
    renew,
    shown_sources,
)


@pytest.fixture
def stored(tmp_path):
    """Write stored files named by a number that is also the value in their column ``v``."""

    def write(value, query="SELECT {value} AS v"):
        path = tmp_path / "store" / str(value)
        path.parent.mkdir(exist_ok=True)
        duckdb.sql(f"COPY ({query.format(value=value)}) TO '{path}' (FORMAT parquet)")
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "analytics"


def source(slug, **tables):
    """Describe a source by its tables and their files."""
    return SourceViews(
        source=slug,
        tables=tuple(TableViews(name=name, files=(path,)) for name, path in tables.items()),
    )


def ask(folder, sql):
    with duckdb.connect(current(folder), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def views(folder):
    return ask(
        folder,
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1",
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestRenew:
    def test_makes_views_in_main_and_in_the_schema_of_the_source(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1))])

        assert ask(folder, "FROM orders") == [(1,)]
        assert ask(folder, "FROM crm.orders") == [(1,)]

    def test_makes_views_for_aliases(self, folder, stored):
        orders = TableViews(name="orders", files=(stored(1),), aliases=("in.c-crm.orders", "o"))

        renew(folder, changed=[SourceViews(source="crm", tables=(orders,))])

        assert ask(folder, 'FROM "in.c-crm.orders"') == ask(folder, "FROM crm.o") == [(1,)]

    def test_joins_the_parts_of_a_table_by_column_name(self, folder, stored):
        parts = stored(1), stored(2, "SELECT 'x' AS letter, {value} AS v")
        orders = TableViews(name="orders", files=parts)

        renew(folder, changed=[SourceViews(source="crm", tables=(orders,))])

        assert ask(folder, "SELECT v, letter FROM orders ORDER BY v") == [(1, None), (2, "x")]

    def test_leaves_other_sources_as_they_are(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1)), source("shop", carts=stored(2))])

        renew(folder, changed=[source("crm", people=stored(3))])

        assert views(folder) == [
            ("crm.people",),
            ("main.carts",),
            ("main.people",),
            ("shop.carts",),
        ]

    def test_removes_sources_that_are_gone(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1)), source("shop", carts=stored(2))])

        renew(folder, changed=[], gone=["SHOP", "never_there"])

        assert views(folder) == [("crm.orders",), ("main.orders",)]

    def test_forgets_everything_else_when_it_starts_from_scratch(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1))])

        renew(folder, changed=[source("shop", carts=stored(2))], from_scratch=True)

        assert views(folder) == [("main.carts",), ("shop.carts",)]

    def test_gives_the_same_views_when_repeated(self, folder, stored):
        changed = [source("crm", orders=stored(1))]
        renew(folder, changed=changed)
        before = views(folder)

        renew(folder, changed=changed)

        assert views(folder) == before

    def test_moves_a_name_from_one_source_to_another(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1)), source("shop")])

        renewed = renew(folder, changed=[source("shop", orders=stored(2)), source("crm")])

        assert renewed.left_out == ()
        assert ask(folder, "FROM orders") == [(2,)]

    @pytest.mark.parametrize("slug", ["main", "temp", "information_schema", "select", "server"])
    def test_serves_sources_whose_name_means_something_to_duckdb(self, folder, stored, slug):
        changed = [source(slug, orders=stored(1))]

        first, second = renew(folder, changed=changed), renew(folder, changed=changed)

        assert first.left_out == second.left_out == ()
        assert ask(folder, "FROM orders") == [(1,)]

    def test_quotes_paths_and_names(self, tmp_path, stored):
        path = stored(1).rename(tmp_path / "store" / "it's")
        alias = 'x" AS SELECT 1; --'
        orders = TableViews(name="orders", files=(path,), aliases=(alias,))

        renew(tmp_path / "a", changed=[SourceViews(source="crm", tables=(orders,))])

        assert ask(tmp_path / "a", 'FROM "x"" AS SELECT 1; --"') == [(1,)]


class TestWhatCannotBeShown:
    def test_is_left_out_with_its_reason_and_stops_nobody(self, folder, stored, tmp_path):
        broken = tmp_path / "store" / "broken"
        stored(1)
        broken.write_bytes(b"PAR1 nothing PAR1")
        bad = source("bad", gone=tmp_path / "store" / "gone", broken=broken)
        remote = SourceViews(
            source="bq", tables=(TableViews(name="sales", query_mode=QueryMode.REMOTE),)
        )
        empty = SourceViews(source="new", tables=(TableViews(name="first"),))

        renewed = renew(folder, changed=[bad, remote, empty, source("crm", orders=stored(1))])

        assert renewed.left_out == (
            ViewLeftOut(source="bad", name="gone", reason="A file of the table is missing."),
            ViewLeftOut(source="bad", name="broken", reason="Its files are not readable Parquet."),
            ViewLeftOut(
                source="bq",
                name="sales",
                reason="Its columns are not known yet: its remote catalog could not be attached.",
            ),
            ViewLeftOut(source="new", name="first", reason="The table has no files."),
        )
        assert views(folder) == [("crm.orders",), ("main.orders",)]

    def test_includes_a_name_that_another_source_holds(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1))])

        renewed = renew(folder, changed=[source("shop", Orders=stored(2), carts=stored(3))])

        assert [(left.source, left.name) for left in renewed.left_out] == [("shop", "Orders")]
        assert ask(folder, "FROM orders") == [(1,)]
        renew(folder, changed=[], gone=["shop"])
        assert ask(folder, "FROM orders") == [(1,)]


@pytest.mark.hostile(55)
class TestGenerations:
    def test_are_numbered_and_linked_relatively(self, folder, stored):
        renewed = renew(folder, changed=[source("crm", orders=stored(1))])

        assert (folder / "server.duckdb").readlink().as_posix() == "server.1.duckdb"
        assert current(folder) == renewed.path == folder / "server.1.duckdb"

    def test_keep_the_previous_one_only(self, folder, stored):
        for _ in range(4):
            renew(folder, changed=[source("crm", orders=stored(1))])

        assert names(folder) == ["server.3.duckdb", "server.4.duckdb", "server.duckdb"]

    def test_keep_an_open_reader_working(self, folder, stored):
        renew(folder, changed=[source("crm", orders=stored(1))])
        with duckdb.connect(current(folder), read_only=True) as reader:
            for value in (2, 3, 4):
                renew(folder, changed=[source("crm", orders=stored(value))])

            assert reader.execute("FROM orders").fetchall() == [(1,)]
            assert ask(folder, "FROM orders") == [(4,)]

    def test_sweep_what_was_left_behind(self, folder, stored):
        folder.mkdir()
        for name in ("server.7.duckdb.tmp", "server.7.duckdb.tmp.wal", "server.duckdb.wal"):
            (folder / name).write_bytes(b"left over")

        renew(folder, changed=[source("crm", orders=stored(1))])

        assert names(folder) == ["server.1.duckdb", "server.duckdb"]

    def test_take_the_place_of_a_plain_file(self, folder, stored):
        folder.mkdir()
        duckdb.connect(folder / "server.duckdb").close()

        renew(folder, changed=[source("crm", orders=stored(1))])

        assert views(folder) == [("crm.orders",), ("main.orders",)]
        assert (folder / "server.duckdb").is_symlink()

    def test_are_not_built_on_a_damaged_one(self, folder, stored):
        changed = [source("crm", orders=stored(1))]
        renew(folder, changed=changed)
        current(folder).write_bytes(b"damaged")

        with pytest.raises(AnalyticsDamagedError):
            renew(folder, changed=changed)
        with pytest.raises(AnalyticsDamagedError):
            shown_sources(folder)

        renew(folder, changed=changed, from_scratch=True)
        assert ask(folder, "FROM orders") == [(1,)]

    @pytest.mark.parametrize(
        ("point", "expected"),
        [("rebuild.copied", 1), ("rebuild.written", 1), ("rebuild.switched", 2)],
    )
    def test_survive_a_kill_at_each_step(self, folder, stored, point, expected):
        first, second, third = stored(1), stored(2), stored(3)
        renew(folder, changed=[source("crm", orders=first)])
        pid = os.fork()
        if pid == 0:
            failpoints.arm(point)
            renew(folder, changed=[source("crm", orders=second)])
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL

        assert ask(folder, "FROM orders") == [(expected,)]
        renew(folder, changed=[source("crm", orders=third)])
        assert ask(folder, "FROM orders") == [(3,)]
        assert len(names(folder)) == 3


class TestCurrent:
    def test_is_none_before_the_first_renewal(self, tmp_path):
        assert current(tmp_path) is None

    def test_is_none_for_a_link_that_leads_elsewhere(self, tmp_path):
        (tmp_path / "server.duckdb").symlink_to("/etc/passwd")

        assert current(tmp_path) is None


class TestRenewingOneSourceOfMany:
    def test_writes_the_views_of_that_source_only(self, folder, stored, monkeypatch):
        path = stored(1)
        sources = [
            source(f"s{number}", **{f"t{number}_{i}": path for i in range(10)})
            for number in range(20)
        ]
        renew(folder, changed=sources, from_scratch=True)
        written = []

        def noted(connection, wanted, run_each=orchestrator.run_each):
            written.extend(statement for each in wanted.values() for statement in each)
            return run_each(connection, wanted)

        monkeypatch.setattr(orchestrator, "run_each", noted)
        renew(folder, changed=sources[7:8])

        # Each view is dropped and made in `main`, goes with its schema, and is made there again.
        assert len(written) == 10 + 1 + 2 * 10
        assert not [statement for statement in written if not re.search(r"\bt7_|\bs7\b", statement)]
