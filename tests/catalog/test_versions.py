"""Versions: what makes one, who may make one, and the way back."""

from __future__ import annotations

from uuid import uuid4

import pytest

from access.models import AuditEvent
from catalog.connectors import ColumnSpec
from catalog.models import Column, Table, TableVersion
from catalog.models.table import DescriptionSource
from catalog.services import versions
from catalog.services.versions import (
    Combined,
    Committed,
    Draft,
    FencedOffError,
    Proposal,
    TablePinnedError,
)
from tests.factories import SourceFactory, TableFactory, publish, stored_part

ID, NAME = ColumnSpec(name="id", type="BIGINT"), ColumnSpec(name="name", type="VARCHAR")


@pytest.fixture
def orders(db):
    return TableFactory(name="orders")


def _commit(table, *parts, fencing=None, columns=(ID,), **options):
    draft = Draft(parts=parts, columns=columns, schema_hash="0" * 64, **options)
    table.refresh_from_db()
    made = versions.commit(
        table=table, draft=draft, fencing=table.fencing if fencing is None else fencing
    )
    table.refresh_from_db()
    return made


class TestCommit:
    def test_makes_the_draft_the_current_version(self, orders):
        run = uuid4()

        version, is_new = _commit(
            orders, stored_part(1, key="a", rows=3), stored_part(2, key="b", rows=4), run_id=run
        )

        assert is_new
        assert orders.current_version == version
        assert (version.number, version.rows, version.bytes, version.run_id) == (1, 7, 200, run)
        assert [(part.ordinal, part.key) for part in version.parts.all()] == [(0, "a"), (1, "b")]

    def test_of_the_same_parts_makes_none_and_keeps_the_new_state(self, orders):
        _commit(orders, stored_part(1), extract_state={"cursor": 1})

        version, is_new = _commit(orders, stored_part(1), extract_state={"cursor": 2})

        assert not is_new
        assert version.number == 1
        orders.current_version.refresh_from_db()
        assert orders.current_version.extract_state == {"cursor": 2}
        assert AuditEvent.objects.filter(action="publish").count() == 1

    def test_of_the_same_parts_takes_what_the_source_says_of_columns_by_now(self, orders):
        version, _ = _commit(orders, stored_part(1))
        said = ColumnSpec(name="id", type="BIGINT", description="Number of the order.")

        _, is_new = _commit(orders, stored_part(1), columns=[said])

        assert not is_new
        assert orders.columns.get().description == "Number of the order."
        version.refresh_from_db()
        assert version.schema[0]["description"] == "Number of the order."

    def test_of_the_same_parts_in_another_order_makes_one(self, orders):
        first, second = stored_part(1, key="a"), stored_part(2, key="b")
        _commit(orders, first, second)

        _, is_new = _commit(orders, second, first)

        assert is_new

    @pytest.mark.parametrize("fencing", [-1, 1])
    def test_is_refused_once_somebody_else_has_taken_over(self, orders, fencing):
        with pytest.raises(versions.FencedOffError):
            _commit(orders, stored_part(1), fencing=fencing)

        assert orders.current_version is None
        assert not TableVersion.objects.exists()

    def test_keeps_what_an_administrator_wrote_about_a_column(self, orders):
        source_says = ColumnSpec(name="id", type="BIGINT", description="From the source.")
        _commit(orders, stored_part(1), columns=[source_says])
        Column.objects.update(description="By hand.", description_source=DescriptionSource.ADMIN)

        _commit(orders, stored_part(2), columns=[source_says])

        assert orders.columns.get().description == "By hand."

    def test_follows_the_columns_that_come_go_and_change(self, orders):
        amount = ColumnSpec(name="amount", type="DOUBLE", description="What was paid.")
        _commit(orders, stored_part(1), columns=[ID, amount])
        wider = ColumnSpec(name="id", type="HUGEINT", nullable=False)

        _commit(orders, stored_part(2), columns=[ColumnSpec(name="note", type="VARCHAR"), wider])

        columns = orders.columns.values_list("name", "type", "nullable")
        assert list(columns) == [("note", "VARCHAR", True), ("id", "HUGEINT", False)]

    def test_keeps_the_combined_file(self, orders):
        combined = Combined(sha256="c" * 64, md5="d" * 32, bytes=5)

        version, _ = _commit(orders, stored_part(1, key="a"), combined=combined)

        assert (version.combined_sha256, version.combined_bytes) == ("c" * 64, 5)


class TestCommitAll:
    def test_commits_what_it_can_and_says_of_the_others_why_not(self, db):
        new, same, overtaken, pinned, gone = TableFactory.create_batch(5)
        _commit(same, stored_part(1))
        Table.objects.filter(pk=pinned.pk).update(is_pinned=True)
        proposals = [_proposal(each) for each in (new, same, overtaken, pinned, gone)]
        versions.take_fencings([overtaken.pk])
        gone.delete()

        outcomes = versions.commit_all(proposals)

        assert [type(outcome) for outcome in outcomes] == [
            Committed, Committed, FencedOffError, TablePinnedError, FencedOffError
        ]  # fmt: skip
        assert [outcome.is_new for outcome in outcomes[:2]] == [True, False]
        new.refresh_from_db()
        assert new.current_version == outcomes[0].version
        assert not TableVersion.objects.filter(table__in=[overtaken, pinned]).exists()
        assert [event.resource for event in AuditEvent.objects.filter(action="publish")] == [
            f"table/{new.name}", f"table/{same.name}"
        ]  # fmt: skip

    def test_keeps_the_tables_apart(self, db):
        first, second = TableFactory.create_batch(2)
        _commit(first, stored_part(1))
        _commit(first, stored_part(2))

        versions.commit_all(
            [_proposal(first, stored_part(3), columns=(ID,)), _proposal(second, columns=(NAME,))]
        )

        numbers = TableVersion.objects.order_by("number").values_list("table__name", "number")
        assert list(numbers.filter(table=first)) == [(first.name, each) for each in (1, 2, 3)]
        assert list(numbers.filter(table=second)) == [(second.name, 1)]
        assert [table.columns.get().name for table in (first, second)] == ["id", "name"]

    def test_asks_the_database_as_often_for_many_as_for_two(
        self, db, django_assert_num_queries, django_assert_max_num_queries
    ):
        source = SourceFactory()
        few = [_proposal(table) for table in TableFactory.create_batch(2, source=source)]
        many = [_proposal(table) for table in TableFactory.create_batch(12, source=source)]
        with django_assert_max_num_queries(100) as asked:
            versions.commit_all(few)

        with django_assert_num_queries(len(asked)):
            versions.commit_all(many)


def _proposal(table, *parts, columns=(ID,)):
    table.refresh_from_db()
    draft = Draft(parts=parts or [stored_part(1)], columns=columns, schema_hash="0" * 64)
    return Proposal(table=table, draft=draft, fencing=table.fencing)


class TestRollBack:
    def test_serves_older_parts_as_a_new_version(self, orders, admin):
        publish(orders, stored_part(1, rows=3))
        publish(orders, stored_part(2))

        version = versions.roll_back(table=orders, number=1, by=admin)

        orders.refresh_from_db()
        assert orders.current_version == version
        assert (version.number, version.rows, version.run_id) == (3, 3, None)
        assert [part.sha256 for part in version.parts.all()] == [f"{1:064x}"]
        assert AuditEvent.objects.get(action="roll_back").actor == admin

    def test_pins_the_table_until_it_is_released(self, orders):
        publish(orders, stored_part(1))
        publish(orders, stored_part(2))
        versions.roll_back(table=orders, number=1, by=None)

        with pytest.raises(versions.TablePinnedError):
            _commit(orders, stored_part(3))
        versions.release(table=orders, by=None)
        version, _ = _commit(orders, stored_part(3))

        assert version.number == 4

    def test_ends_the_right_of_runs_that_are_under_way(self, orders):
        publish(orders, stored_part(1))
        held = orders.fencing
        versions.roll_back(table=orders, number=1, by=None)
        versions.release(table=orders, by=None)

        with pytest.raises(versions.FencedOffError):
            _commit(orders, stored_part(2), fencing=held)

    def test_makes_the_next_run_start_from_nothing(self, orders):
        _commit(orders, stored_part(1), extract_state={"cursor": 1})

        version = versions.roll_back(table=orders, number=1, by=None)

        assert version.extract_state == {}

    def test_brings_the_older_columns_back(self, orders):
        _commit(orders, stored_part(1), columns=[ID])
        _commit(orders, stored_part(2), columns=[ID, ColumnSpec(name="new", type="DATE")])

        versions.roll_back(table=orders, number=1, by=None)

        assert list(orders.columns.values_list("name", flat=True)) == ["id"]

    def test_brings_the_one_file_of_all_parts_back(self, orders):
        combined = Combined(sha256="c" * 64, md5="d" * 32, bytes=5)
        _commit(orders, stored_part(1, key="a"), stored_part(2, key="b"), combined=combined)
        _commit(orders, stored_part(3))

        found = versions.roll_back(table=orders, number=1, by=None)

        whole = (found.combined_sha256, found.combined_md5, found.combined_bytes)
        assert whole == ("c" * 64, "d" * 32, 5)

    def test_needs_a_version_that_is_kept(self, orders):
        publish(orders)

        with pytest.raises(versions.VersionNotFoundError):
            versions.roll_back(table=orders, number=7, by=None)
        orders.refresh_from_db()
        assert not orders.is_pinned


class TestTakeFencing:
    def test_counts_up(self, orders):
        taken = [versions.take_fencings([orders.pk])[orders.pk] for _ in range(3)]

        assert taken == [1, 2, 3]
