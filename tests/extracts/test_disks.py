"""Disks that are full, out of files, read-only or more than one: a reason, and nothing is lost."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pytest

from agnes_site.core.storage import Layout
from catalog.models import Table
from extracts.engine import warm
from extracts.models import Run, RunKind, RunState
from extracts.services import extraction, runs
from tests.disks import PAGE, Disk, mounted
from tests.factories import SourceFactory, TableFactory

pytestmark = pytest.mark.django_db

ROWS = 4000


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", "size=8m,nr_inodes=400") as found:
        yield found


@pytest.fixture
def layout(disk, settings) -> Layout:
    """Everything that the server keeps is on a disk of the test's own."""
    settings.LAYOUT = Layout(root=disk.folder, state=disk.folder / "state")
    settings.LAYOUT.create()
    return settings.LAYOUT


@pytest.fixture
def shop(tmp_path):
    """A source whose files are elsewhere."""
    (tmp_path / "company").mkdir()
    return SourceFactory(slug="shop", config={"folder": str(tmp_path / "company")})


@pytest.fixture
def write(tmp_path, shop) -> Callable[[int], None]:
    """Write the file of the source anew; each number gives other rows."""

    def written(number: int) -> None:
        lines = (f"{row},{(row * 7919 + number) % 10007}\n" for row in range(ROWS))
        (tmp_path / "company" / "orders.csv").write_text("id,amount\n" + "".join(lines))

    return written


@pytest.fixture
def orders(layout, shop, write) -> Table:
    """A table with one good version, which its faces show."""
    write(0)
    table = TableFactory(name="orders", source=shop)
    assert extracted(table).state == rebuilt(table).state == RunState.SUCCEEDED
    return table


def extracted(table: Table) -> Run:
    return _done(table=Table.objects.get(pk=table.pk))


def rebuilt(table: Table) -> Run:
    return _done(source=table.source, kind=RunKind.REBUILD)


def _done(**what) -> Run:
    run, _ = runs.request_run(by=None, **what)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def served(table: Table, layout: Layout) -> list[tuple[int, int]]:
    """Rows and sum of what the version in service holds, read from the store."""
    version = Table.objects.get(pk=table.pk).current_version
    paths = [str(layout.stored(part.sha256)) for part in version.parts.all()]
    return duckdb.execute("SELECT count(*), sum(amount) FROM read_parquet(?)", [paths]).fetchall()


def shown(layout: Layout) -> list[tuple[int, int]]:
    """Rows and sum of what the analytics file shows."""
    path = (layout.analytics / "server.duckdb").resolve()
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("SELECT count(*), sum(amount) FROM orders").fetchall()


@pytest.mark.hostile(52)
class TestFull:
    @pytest.mark.parametrize("limited", ["bytes", "files"])
    def test_at_each_write_of_an_extract_the_last_version_stays(
        self, orders, layout, disk, write, limited
    ):
        limit = {"bytes": lambda left: disk.leave(left * PAGE), "files": disk.leave_files}[limited]
        before = served(orders, layout)
        write(1)
        failures = 0
        for left in range(100):
            limit(left)
            run = extracted(orders)
            disk.clear()
            if run.state == RunState.SUCCEEDED:
                break
            failures += 1
            assert (run.error_code, run.state) == ("storage_full", RunState.FAILED)
            assert run.error_hint
            assert served(orders, layout) == before
            assert not any(layout.tmp.iterdir())

        assert failures > 1
        assert run.version_number == 2
        assert served(orders, layout) != before

    @pytest.mark.parametrize("limited", ["bytes", "files"])
    def test_at_each_write_of_the_faces_the_old_ones_stay(
        self, orders, layout, disk, write, limited
    ):
        limit = {
            "bytes": lambda left: disk.leave(left * 16 * PAGE), "files": disk.leave_files,
        }[limited]  # fmt: skip
        before = shown(layout)
        write(1)
        assert extracted(orders).version_number == 2
        failures = 0
        for left in range(100):
            limit(left)
            run = rebuilt(orders)
            disk.clear()
            if run.state == RunState.SUCCEEDED:
                break
            failures += 1
            assert (run.error_code, run.state) == ("storage_full", RunState.FAILED), run.log
            assert shown(layout) == before

        assert failures > 1
        assert shown(layout) == served(orders, layout) != before


@pytest.mark.hostile(52)
class TestQuota:
    """A limit on the size of files stands for a quota, where no disk may be mounted."""

    @pytest.fixture
    def layout(self, tmp_path, settings):
        settings.LAYOUT = Layout(root=tmp_path / "data", state=tmp_path / "data" / "state")
        settings.LAYOUT.create()
        return settings.LAYOUT

    def test_at_each_size_the_last_version_stays(self, orders, layout, write):
        before = served(orders, layout)
        write(1)
        failures = 0
        for limit in (1, 100, 1000, 4000, 8000, 12_000, 16_000, 1_000_000):
            with limited_files(limit):
                run = extracted(orders)
            if run.state == RunState.SUCCEEDED:
                break
            failures += 1
            assert (run.error_code, run.state) == ("storage_full", RunState.FAILED)
            assert served(orders, layout) == before
            assert not any(layout.tmp.iterdir())

        assert failures > 1
        assert run.version_number == 2


@contextmanager
def limited_files(limit: int) -> Iterator[None]:
    """Let no process that works for the server write a file of more than ``limit`` bytes."""
    zygote = warm._zygote.process.pid
    before = resource.prlimit(zygote, resource.RLIMIT_FSIZE)
    resource.prlimit(zygote, resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(zygote, resource.RLIMIT_FSIZE, before)


class TestReadOnly:
    def test_says_so_and_goes_on_when_it_is_over(self, orders, layout, disk, write):
        before = served(orders, layout)
        write(1)
        disk.make_read_only()
        failed = extracted(orders)
        disk.make_read_only(False)

        assert (failed.state, failed.error_code) == (RunState.FAILED, "storage_failed")
        assert "Read-only file system" in failed.error_message
        assert served(orders, layout) == before
        assert extracted(orders).version_number == 2


class TestTwoDisks:
    def test_are_refused_by_name(self, orders, layout, write, tmp_path):
        before = served(orders, layout)
        write(1)
        with mounted(layout.store, "size=8m"):
            failed = extracted(orders)
            assert failed.state == RunState.FAILED
            assert failed.error_code == "storage_split"
            assert "one file system" in failed.error_hint

        assert served(orders, layout) == before
        assert extracted(orders).version_number == 2
