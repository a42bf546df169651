from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from extracts.engine.merging import KeyTypeError, RowsMissingError, merged, still_there

ROWS = pa.schema([("id", pa.int64()), ("name", pa.string())])


def reader(rows: dict[int, str], *, batch: int = 3, removed: set[int] | None = None):
    """Return rows sorted by id, in small batches, with a column of removals where asked for."""
    schema = ROWS if removed is None else ROWS.append(pa.field("gone", pa.bool_()))
    lines = [
        {"id": key, "name": rows[key], **({} if removed is None else {"gone": key in removed})}
        for key in sorted(rows)
    ]
    table = pa.Table.from_pylist(lines, schema)
    return pa.RecordBatchReader.from_batches(schema, table.to_batches(max_chunksize=batch))


def rows_of(batches: pa.RecordBatchReader) -> list[tuple[int, str]]:
    return [tuple(row.values()) for row in batches.read_all().to_pylist()]


def test_replaces_adds_and_keeps_in_the_order_of_the_key():
    current = reader({1: "a", 2: "b", 4: "d", 5: "e", 9: "i"})
    changes = reader({0: "new", 2: "B", 7: "new", 9: "I", 12: "new"})

    found = rows_of(merged(current, changes, ("id",)))

    assert found == [
        (0, "new"), (1, "a"), (2, "B"), (4, "d"), (5, "e"), (7, "new"), (9, "I"), (12, "new"),
    ]  # fmt: skip


def test_leaves_out_what_is_removed():
    current = reader({1: "a", 2: "b", 3: "c"})
    changes = reader({2: "b", 3: "C", 4: "d", 5: "e"}, removed={2, 5})

    found = rows_of(merged(current, changes, ("id",), removed="gone"))

    assert found == [(1, "a"), (3, "C"), (4, "d")]


def test_merges_as_a_dictionary_does():
    chance = random.Random(7)
    for _ in range(200):
        current = {chance.randrange(60): "old" for _ in range(chance.randrange(40))}
        changes = {chance.randrange(60): "new" for _ in range(chance.randrange(40))}
        removed = {key for key in changes if chance.random() < 0.3}

        found = rows_of(
            merged(
                reader(current, batch=chance.randrange(1, 9)),
                reader(changes, batch=chance.randrange(1, 9), removed=removed),
                ("id",),
                removed="gone",
            )
        )

        expected = {key: name for key, name in {**current, **changes}.items() if key not in removed}
        assert found == sorted(expected.items())


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (pa.string(), ["", "Z", "a", "ä", "\U0001f600"]),
        (pa.decimal128(38, 2), None),
        (
            pa.timestamp("us", "UTC"),
            [datetime(1, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(5)],
        ),
        (pa.uuid(), sorted(uuid.UUID(int=n << 120).bytes for n in (1, 2, 128, 200, 255))),
    ],
)
def test_knows_the_order_of_every_type_of_key(kind, keys):
    values = pa.array(keys or range(5), getattr(kind, "storage_type", kind))
    if isinstance(kind, pa.UuidType):
        values = pa.ExtensionArray.from_storage(kind, values)
    everything = pa.table({"key": values, "is_new": pa.repeat(False, 5)})
    changed = pa.table({"key": values.take([1, 3]), "is_new": pa.repeat(True, 2)})

    found = merged(everything.to_reader(2), changed.to_reader(1), ("key",)).read_all()

    assert found.column("is_new").to_pylist() == [False, True, False, True, False]
    assert found.column("key").combine_chunks() == everything.column("key").combine_chunks()


@pytest.mark.hostile(21)
def test_merges_times_that_python_cannot_hold():
    far = pa.array([-(2**62), 0, 2**63 - 1], pa.int64()).cast(pa.timestamp("us"))
    current = pa.table({"at": far, "n": [1, 2, 3]})

    found = merged(current.to_reader(1), current.slice(2).to_reader(), ("at",)).read_all()

    assert found.column("n").to_pylist() == [1, 2, 3]


def test_compares_all_columns_of_a_key():
    schema = pa.schema([("a", pa.string()), ("b", pa.int64()), ("rank", pa.int64())])
    current = pa.Table.from_pylist(
        [{"a": a, "b": b, "rank": 0} for a in "xy" for b in range(3)], schema
    )
    changes = pa.Table.from_pylist([{"a": "x", "b": 2, "rank": 1}, {"a": "y", "b": 0, "rank": 1}])

    found = merged(current.to_reader(2), changes.to_reader(), ("a", "b")).read_all()

    assert found.column("rank").to_pylist() == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", [pa.float64(), pa.list_(pa.int64()), pa.json_()])
def test_refuses_keys_without_an_order(kind):
    table = pa.table({"key": pa.nulls(0, kind)})

    with pytest.raises(KeyTypeError, match="'key'"):
        merged(table.to_reader(), table.to_reader(), ("key",))


def test_keeps_what_is_still_there():
    rows = reader({1: "a", 2: "b", 4: "d", 5: "e"}, batch=2)
    keys = reader({2: "", 5: ""}, batch=1)

    assert rows_of(still_there(rows, keys, ("id",))) == [(2, "b"), (5, "e")]


@pytest.mark.parametrize("unknown", [0, 3, 9])
def test_notices_keys_without_a_row(unknown):
    rows = reader({1: "a", 2: "b", 4: "d", 5: "e"}, batch=2)
    keys = reader({1: "", 5: "", unknown: ""})

    with pytest.raises(RowsMissingError):
        still_there(rows, keys, ("id",)).read_all()
