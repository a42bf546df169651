"""Leases: one holder at a time, and what becomes of one who was silent for too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import duckdb
import pytest
from django.utils import timezone

from agnes_site.core.progress import silent
from catalog.models import Source
from extracts.engine import orchestrator
from extracts.engine.contract import writer
from extracts.models import Lease
from extracts.services import leases as leases_of
from extracts.services import regeneration
from extracts.services.leases import LeaseTakenError, lease, leases
from tests.factories import SourceFactory, TableFactory, parquet_bytes, publish, stored_file

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def take_over(monkeypatch) -> Callable[[str], None]:
    """Take a lease as another process does after this one was silent for an hour."""

    def take(name: str) -> None:
        monkeypatch.setattr(
            leases_of, "_clock", lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 3600
        )
        Lease.objects.filter(name=name).update(holder="another", until=timezone.now())

    return take


@pytest.mark.hostile(50)
class TestLease:
    def test_has_one_holder(self):
        with (
            lease("analytics"),
            pytest.raises(LeaseTakenError),
            lease("analytics"),
        ):
            pytest.fail("Two hold it.")

    def test_is_free_after_its_block_even_where_that_failed(self):
        with pytest.raises(ZeroDivisionError), lease("analytics"):
            raise ZeroDivisionError

        with lease("analytics"):
            assert Lease.objects.get().fencing == 1

    def test_is_free_when_its_holder_fell_silent(self):
        past = timezone.now() - timedelta(seconds=1)
        Lease.objects.create(name="analytics", holder="gone", until=past)

        with lease("analytics"):
            assert Lease.objects.get().holder != "gone"

    def test_says_that_somebody_else_has_taken_over(self, take_over):
        with lease("analytics") as held:
            held.check("analytics")
            take_over("analytics")

            assert held.ours() == frozenset()
            with pytest.raises(LeaseTakenError, match="analytics was taken over"):
                held.check("analytics")

    def test_is_moved_on_until_somebody_else_has_taken_over(self, take_over):
        with lease("analytics") as held:
            Lease.objects.update(until=timezone.now())

            assert held.keep()
            assert Lease.objects.get().until > timezone.now()
            take_over("analytics")
            assert not held.keep()

    def test_is_still_held_after_a_silence_in_which_nobody_took_it(self, monkeypatch):
        with lease("analytics") as held:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            monkeypatch.setattr(leases_of, "_clock", lambda: now + 3600)
            Lease.objects.update(until=timezone.now())

            held.check("analytics")

    def test_leaves_the_lease_of_the_other_one_alone(self, take_over):
        with lease("analytics"):
            take_over("analytics")
            later = timezone.now() + timedelta(hours=1)
            Lease.objects.update(until=later)

        assert Lease.objects.get().until == later


class TestLeases:
    def test_are_those_that_are_free(self):
        with lease("source:b"), leases(["source:a", "source:b", "source:c"]) as held:
            assert held.names == {"source:a", "source:c"}

    def test_are_all_free_afterwards(self):
        with leases(["source:a", "source:b"]):
            pass

        with leases(["source:a", "source:b"]) as held:
            assert held.names == {"source:a", "source:b"}


@pytest.fixture
def source(layout) -> Source:
    """A source whose faces are up to date with the first of two versions."""
    made = SourceFactory(slug="shop")
    table = TableFactory(source=made, name="orders")
    publish(table, stored_file(layout, parquet_bytes(rows(1)), rows=1))
    regeneration.rebuild_source(made, silent)
    publish(table, stored_file(layout, parquet_bytes(rows(2)), rows=2))
    return made


def rows(count: int):
    return duckdb.sql(f"SELECT range AS id FROM range({count})").to_arrow_table()


def shown(layout) -> tuple[int, int]:
    """Return how many rows the extract says there are, and how many the analytics file has."""
    answers = []
    for file, sql in (
        (layout.extracts / "shop" / "extract.duckdb", "SELECT rows FROM _meta"),
        (orchestrator.current(layout.analytics), "SELECT count(*) FROM orders"),
    ):
        with duckdb.connect(str(file), read_only=True) as connection:
            answers += connection.execute(sql).fetchone()
    return tuple(answers)


class TestRebuildThatIsLate:
    @pytest.mark.parametrize(
        ("name", "step", "expected"),
        [
            ("source:shop", "regenerate.links_announced", (1, 1)),
            ("source:shop", "regenerate.data_linked", (1, 1)),
            ("source:shop", "regenerate.extract_written", (1, 1)),
            ("source:shop", "regenerate.hash_recorded", (1, 1)),
            ("analytics", "rebuild.copied", (2, 1)),
            ("analytics", "rebuild.written", (2, 1)),
        ],
    )
    def test_shows_nothing(self, layout, source, monkeypatch, take_over, name, step, expected):
        for module in (writer, orchestrator, regeneration):
            monkeypatch.setattr(
                module, "failpoint", lambda at: take_over(name) if at == step else None
            )

        with pytest.raises(LeaseTakenError):
            regeneration.rebuild_source(source, silent)

        assert shown(layout) == expected

    @pytest.mark.parametrize(
        ("name", "step"),
        [("source:shop", "regenerate.extract_replaced"), ("analytics", "rebuild.switched")],
    )
    def test_is_done_again_where_it_may_have_been_the_last(
        self, layout, source, monkeypatch, take_over, name, step
    ):
        with monkeypatch.context() as patch:
            for module in (writer, orchestrator):
                patch.setattr(
                    module, "failpoint", lambda at: take_over(name) if at == step else None
                )
            with pytest.raises(LeaseTakenError):
                regeneration.rebuild_source(source, silent)

        assert regeneration.request_behind() == 1
        regeneration.rebuild_source(source, silent)
        assert shown(layout) == (2, 2)
        assert regeneration.request_behind() == 0


class TestRebuildBesideALateOne:
    @pytest.mark.parametrize("step", ["regenerate.links_removed", "rebuild.swept"])
    def test_does_not_take_the_work_of_the_other_for_its_own(
        self, layout, source, monkeypatch, step
    ):
        before = layout.extracts / "shop" / "extract.duckdb"
        old, generation = before.read_bytes(), orchestrator.current(layout.analytics)

        def undo(name: str) -> None:
            if name == step == "regenerate.links_removed":
                before.write_bytes(old)
            elif name == step:
                link = layout.analytics / orchestrator.LINK_NAME
                link.unlink()
                link.symlink_to(generation.name)

        with monkeypatch.context() as patch:
            for module in (writer, orchestrator):
                patch.setattr(module, "failpoint", undo)
            regeneration.rebuild_source(source, silent)

        assert regeneration.request_behind() == 1
        regeneration.rebuild_source(source, silent)
        assert shown(layout) == (2, 2)
