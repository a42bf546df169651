"""The 0.54 client goes on working: what it sent once is answered as it was answered then."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from access.models import ADMIN, Group, User
from access.services import grants, groups, tokens
from catalog.connectors import ColumnSpec, QueryMode
from catalog.services import registry, sources
from tests.factories import TableFactory, parquet_bytes, publish, stored_file
from tests.journeys import pending_054, recording
from tests.journeys.replay import Replay

TRAFFIC = Path(__file__).resolve().parents[3] / "shared/reference/client_054_traffic.jsonl"
ORDERS_CHANGED = "agnes pull  [orders changed on the server]"

_TYPES = {"int64": "BIGINT", "int32": "INTEGER", "double": "DOUBLE", "date32[day]": "DATE",
          "timestamp[us]": "TIMESTAMP", "bool": "BOOLEAN", "string": "VARCHAR",
          "decimal128(12, 2)": "DECIMAL(12,2)"}  # fmt: skip


def _orders(count: int) -> pa.Table:
    start = datetime.datetime(2026, 1, 1, 8)  # noqa: DTZ001 (a TIMESTAMP has no zone)
    numbers = range(count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "customer_id": pa.array([n % 7 for n in numbers], pa.int32()),
            "amount": pa.array([n * 1.25 for n in numbers], pa.float64()),
            "net": pa.array([Decimal(n * 110) / 100 for n in numbers], pa.decimal128(12, 2)),
            "order_date": pa.array(
                [start.date() + datetime.timedelta(days=n % 365) for n in numbers], pa.date32()
            ),
            "created_at": pa.array(
                [start + datetime.timedelta(minutes=n) for n in numbers], pa.timestamp("us")
            ),
            "paid": pa.array([n % 3 == 0 for n in numbers], pa.bool_()),
            "note": pa.array([f"note {n}" if n else None for n in numbers], pa.string()),
        }
    )


def _numbered(count: int, *texts: str) -> pa.Table:
    columns = {"id": pa.array(range(count), pa.int32())}
    return pa.table({**columns, **{t: [f"{t} {n}" for n in range(count)] for t in texts}})


class _Company:
    """What the recorded server held."""

    def __init__(self, layout) -> None:
        self.layout = layout
        self.contents: dict[str, bytes] = {}
        self.analyst = User.objects.create_user("ana@example.com", name="ana")
        self.admin = User.objects.create_user("root@example.com", name="root")
        groups.add_member(group=Group.objects.get(name=ADMIN), user=self.admin, by=None)
        self.analysts = groups.create_group(name="analysts", by=self.admin)
        groups.add_member(group=self.analysts, user=self.analyst, by=self.admin)
        inbox = str(layout.root / "inbox")
        shop = sources.add_source(
            slug="shop", source_type="files", config={"folder": inbox}, by=self.admin
        )
        reports = sources.add_source(
            slug="reports", source_type="external", config={"folder": inbox}, by=self.admin
        )
        for name, rows in (
            ("orders", _orders(1000)),
            ("customers", _numbered(7, "name", "country")),
            ("products", _numbered(20, "title")),
            ("salaries", _numbered(5, "name")),
        ):
            self._register(shop, name)
            self.publish(name, rows)
        self._register(reports, "daily_revenue")
        self.publish("daily_revenue", _numbered(31, "revenue"))
        # Which connector serves remote tables is not the point here: their row is.
        TableFactory(
            name="events", source=shop, query_mode=QueryMode.REMOTE, description="demo events",
            registered_by=self.admin,
        )  # fmt: skip
        for name in ("orders", "customers", "products", "daily_revenue", "events"):
            grants.grant(
                group=self.analysts, resource_type="table", resource_id=name, by=self.admin
            )

    def _register(self, source, name: str) -> None:
        registry.register_table(
            source=source, name=name, by=self.admin, source_table=f"{name}.csv",
            description=f"demo {name.replace('_', ' ')}",
        )  # fmt: skip

    def publish(self, name: str, rows: pa.Table) -> None:
        content = parquet_bytes(rows)
        columns = [ColumnSpec(name=f.name, type=_TYPES[str(f.type)]) for f in rows.schema]
        part = stored_file(self.layout, content, rows=rows.num_rows)
        publish(registry.find_table(name), part, columns=columns)
        self.contents[name] = content

    def secret(self, user: User) -> str:
        return tokens.create(user=user, name="seed", by=None).secret


@pytest.fixture
def exchanges() -> list[recording.Exchange]:
    """The recorded traffic; in CI its absence is a failure."""
    if not TRAFFIC.is_file():
        message = "needs ../shared/reference/client_054_traffic.jsonl"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return recording.read(TRAFFIC)


@pytest.fixture
def replay(db, layout, exchanges) -> Replay:
    """A server that holds what the recorded one held."""
    company = _Company(layout)
    return Replay(
        secrets={
            "analyst": company.secret(company.analyst), "admin": company.secret(company.admin)
        },
        shapes=recording.shapes(exchanges),
        contents=company.contents,
        before={ORDERS_CHANGED: lambda: company.publish("orders", _orders(1200))},
    )  # fmt: skip


def _pending(exchange: recording.Exchange) -> list[pending_054.Pending]:
    return [entry for entry in pending_054.PENDING if entry.covers(exchange)]


@pytest.mark.hostile(48)
class TestRecordedTraffic:
    def test_is_answered_as_it_was_but_for_what_is_listed(self, replay, exchanges):
        outcomes = replay.play(exchanges)

        wrong = [
            f"{outcome.exchange}: {problem}"
            for outcome in outcomes
            if not _pending(outcome.exchange)
            for problem in outcome.problems
        ]
        assert not wrong, "\n".join(wrong)
        assert len(outcomes) > 240

    def test_nothing_is_listed_as_pending_that_works(self, replay, exchanges):
        outcomes = replay.play(exchanges)

        done = [
            f"{outcome.exchange}: passes; take {entry.method} {entry.path} off the list"
            for outcome in outcomes
            if not outcome.problems
            for entry in _pending(outcome.exchange)
        ]
        assert done == []

    def test_nothing_is_listed_as_unsent_that_is_sent(self, replay, exchanges):
        replay.play(exchanges)

        sent = {
            f"{method} {endpoint}: {path}"
            for (method, endpoint), paths in pending_054.UNSENT.items()
            for path in paths
            for exchange, answer in replay.answers
            if (exchange.method, exchange.endpoint) == (method, endpoint) and answer.status < 300
            if recording.holds(recording.plain(endpoint, answer.body), path)
        }
        assert sent == set()


class TestListsOfDifferences:
    @pytest.mark.parametrize("entry", [*pending_054.PENDING, *pending_054.DEVIATIONS])
    def test_each_entry_names_something_recorded(self, exchanges, entry):
        assert any(entry.covers(exchange) for exchange in exchanges)
        assert entry.reason

    def test_a_field_that_is_not_sent_was_recorded(self, exchanges):
        shapes = recording.shapes(exchanges)

        strange = [
            f"{method} {endpoint}: {path}"
            for (method, endpoint), paths in pending_054.UNSENT.items()
            for path in paths
            if not shapes[method, endpoint].knows(path)
        ]
        assert strange == []

    def test_no_exchange_is_pending_and_a_deviation(self, exchanges):
        both = [
            str(exchange)
            for exchange in exchanges
            if _pending(exchange)
            and any(entry.covers(exchange) for entry in pending_054.DEVIATIONS)
        ]
        assert both == []


class TestShapes:
    """The comparison itself notices what it is for."""

    def _shape(self) -> recording.Shape:
        shape = recording.Shape()
        shape.learn({"name": "orders", "rows": 7, "note": None, "tags": [{"id": "a"}]})
        return shape

    def test_a_body_of_the_same_shape_passes(self):
        body = {"name": "x", "rows": 0, "note": "any", "tags": [], "new": True}

        assert list(self._shape().problems(body, at="body")) == []

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"rows": "7"}, "body.rows is text, not number"),
            ({"rows": True}, "body.rows is boolean, not number"),
            ({"name": None}, "body.name is null, not text"),
            ({"tags": [{}]}, "body.tags[].id is missing"),
            ({"tags": {}}, "body.tags is object, not list"),
        ],
    )
    def test_a_changed_field_is_named(self, change, problem):
        body = {"name": "x", "rows": 0, "note": None, "tags": [], **change}

        assert list(self._shape().problems(body, at="body")) == [problem]

    def test_a_missing_field_is_named_unless_it_is_listed(self):
        body = {"name": "x", "rows": 0, "tags": []}

        assert list(self._shape().problems(body, at="body")) == ["body.note is missing"]
        allowed = recording.Allowed(unsent={"body.note"})
        assert list(self._shape().problems(body, at="body", allowed=allowed)) == []
