"""Merge changes into a table by its key, with little of either in memory.

All rows here are sorted by the key, which has no nulls and no duplicates: those in service,
those that changed, those that still exist. So they are read once, side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from extracts.engine.kernels import pc
from extracts.engine.keys import comparable, equal_neighbours

_RANK = "rank"


class KeyTypeError(InvalidInputError):
    """A column of a primary key has a type by which rows cannot be merged."""

    code = "primary_key_type"
    hint = "Choose a key of numbers, texts or times, or let the table be read in full."


class RowsMissingError(Exception):
    """The source has rows that neither the version in service nor the changes have."""


def merged(
    current: pa.RecordBatchReader,
    changes: pa.RecordBatchReader,
    key: tuple[str, ...],
    *,
    removed: str = "",
) -> pa.RecordBatchReader:
    """Return the rows of ``current``, each replaced by the one of ``changes`` with its key.

    ``changes`` has the columns of ``current``, and where ``removed`` is given, a column of
    that name which says whether the row is gone.

    Raises:
        KeyTypeError: the key has a type that cannot be compared.
    """
    check_key_types(current.schema, key)
    return pa.RecordBatchReader.from_batches(
        current.schema, _merged(current, changes, key, removed)
    )


def still_there(
    rows: pa.RecordBatchReader, keys: pa.RecordBatchReader, key: tuple[str, ...]
) -> pa.RecordBatchReader:
    """Return those of ``rows`` whose key is in ``keys``.

    The reader raises :class:`RowsMissingError` when it meets a key without a row.
    """
    return pa.RecordBatchReader.from_batches(rows.schema, _still_there(rows, keys, key))


def check_key_types(schema: pa.Schema, key: tuple[str, ...]) -> None:
    """Refuse keys that have no order which everybody agrees on.

    Raises:
        KeyTypeError: a column of the key is a list, a fraction, JSON or the like.
    """
    for name in key:
        kind = schema.field(name).type
        plain = kind.storage_type if isinstance(kind, pa.UuidType) else kind
        if not any(is_kind(plain) for is_kind in _COMPARABLE):
            raise KeyTypeError(
                f"The primary key has column {name!r}, which is {kind}; rows cannot be merged "
                "by that.",
                column=name,
            )


_COMPARABLE = (
    pa.types.is_integer, pa.types.is_decimal, pa.types.is_string, pa.types.is_binary,
    pa.types.is_fixed_size_binary, pa.types.is_boolean, pa.types.is_temporal,
)  # fmt: skip


def _merged(
    current: pa.RecordBatchReader,
    changes: pa.RecordBatchReader,
    key: tuple[str, ...],
    removed: str,
) -> Iterator[pa.RecordBatch]:
    ahead = _Ahead(changes, key)
    for batch in current:
        if batch.num_rows == 0:
            continue
        changed = ahead.until(_row(comparable(batch, key), batch.num_rows - 1))
        if changed.num_rows == 0:
            yield batch
        else:
            yield from _replaced(pa.Table.from_batches([batch]), changed, key, removed)
    for batch in ahead.rest():
        new = pa.Table.from_batches([batch])
        yield from _without_removed(new, removed).to_batches()


def _replaced(
    rows: pa.Table, changed: pa.Table, key: tuple[str, ...], removed: str
) -> Iterator[pa.RecordBatch]:
    """Yield ``rows`` and ``changed`` in the order of their keys; of two, the changed one."""
    if removed:
        rows = rows.append_column(removed, pa.repeat(False, rows.num_rows))
    both = pa.concat_tables([changed, rows])
    places, is_followed = _in_order(both, key, ranks=(changed.num_rows, rows.num_rows))
    is_second = pa.concat_arrays([pa.array([False]), is_followed])
    kept = both.take(places.filter(pc.invert(is_second)))
    yield from _without_removed(kept, removed).combine_chunks().to_batches()


def _without_removed(rows: pa.Table, removed: str) -> pa.Table:
    if not removed:
        return rows
    return rows.filter(pc.invert(rows.column(removed))).drop_columns([removed])


def _still_there(
    rows: pa.RecordBatchReader, keys: pa.RecordBatchReader, key: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    ahead = _Ahead(keys, key)
    for batch in rows:
        if batch.num_rows == 0:
            continue
        held = comparable(batch, key)
        found = ahead.until(_row(held, batch.num_rows - 1))
        both = pa.concat_tables([held, comparable(found, key)])
        places, is_followed = _in_order(both, key, ranks=(batch.num_rows, found.num_rows))
        present = places.slice(0, len(is_followed)).filter(is_followed)
        if len(present) < found.num_rows:
            raise RowsMissingError
        yield batch if len(present) == batch.num_rows else batch.take(present)
    if any(batch.num_rows for batch in ahead.rest()):
        raise RowsMissingError


def _in_order(rows: pa.Table, key: tuple[str, ...], *, ranks: tuple[int, int]) -> tuple[Any, Any]:
    """Return where the rows are in the order of their keys, and whether a next one is equal."""
    keys = comparable(rows, key)
    rank = pa.concat_arrays([pa.repeat(number, count) for number, count in enumerate(ranks)])
    by = [(name, "ascending") for name in (*keys.schema.names, _rank_name(keys))]
    places = pc.sort_indices(keys.append_column(_rank_name(keys), rank), sort_keys=by)
    equal = equal_neighbours(keys.take(places))
    return places, equal.combine_chunks() if isinstance(equal, pa.ChunkedArray) else equal


def _rank_name(keys: pa.Table) -> str:
    name = _RANK
    while name in keys.schema.names:
        name += "_"
    return name


class _Ahead:
    """A sorted stream that is read only as far as somebody asks for."""

    def __init__(self, rows: pa.RecordBatchReader, key: tuple[str, ...]) -> None:
        self._rows = rows
        self._key = key
        self._batch: pa.RecordBatch | None = None
        self._keys = pa.table({})

    def until(self, bound: tuple[Any, ...]) -> pa.Table:
        """Return the next rows, up to the one with the key ``bound``."""
        taken = []
        while self._fill():
            assert self._batch is not None
            count = _count_until(self._keys, bound)
            taken.append(self._batch.slice(0, count))
            if count < self._batch.num_rows:
                self._batch = self._batch.slice(count)
                self._keys = self._keys.slice(count)
                break
            self._batch = None
        return pa.Table.from_batches(taken, self._rows.schema)

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Yield what nobody asked for."""
        if self._batch is not None:
            yield self._batch
        yield from self._rows

    def _fill(self) -> bool:
        while self._batch is None or self._batch.num_rows == 0:
            self._batch = next(iter(self._rows), None)
            if self._batch is None:
                return False
            self._keys = comparable(self._batch, self._key)
        return True


def _count_until(keys: pa.Table, bound: tuple[Any, ...]) -> int:
    """Return how many of the sorted ``keys`` do not come after ``bound``."""
    low, high = 0, keys.num_rows
    while low < high:
        middle = (low + high) // 2
        if _row(keys, middle) <= bound:
            low = middle + 1
        else:
            high = middle
    return low


def _row(keys: pa.Table, number: int) -> tuple[Any, ...]:
    return tuple(_plain(column[number]) for column in keys.columns)


def _plain(value: Any) -> Any:
    """Return a value that Python orders as Arrow does; times that it cannot hold are numbers."""
    return value.value if pa.types.is_temporal(value.type) else value.as_py()
