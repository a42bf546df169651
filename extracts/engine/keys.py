"""Refuse rows that share a primary key, while they stream by in its order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from extracts.engine.kernels import pc


class DuplicateKeyError(InvalidInputError):
    """Two rows have the same values in the primary key of their table."""

    code = "primary_key_duplicate"
    hint = "Remove the duplicates at the source, or correct the primary key of the table."


class PrimaryKeyMissingError(InvalidInputError):
    """The primary key of a table names a column that is not there."""

    code = "primary_key_missing"
    hint = "Correct the primary key of the table."


class NullKeyError(InvalidInputError):
    """A row has no value in the primary key of an incremental table."""

    code = "primary_key_null"
    hint = "Fill the column at the source, or correct the primary key of the table."


class OutOfOrderError(Exception):
    """Rows that were hoped to be sorted are not."""


def spelled_key(key: tuple[str, ...], names: list[str]) -> tuple[str, ...]:
    """Return the columns of a primary key as the rows spell them.

    Raises:
        PrimaryKeyMissingError: there is no such column.
    """
    spelled = {name.lower(): name for name in names}
    for name in key:
        if name.lower() not in spelled:
            raise PrimaryKeyMissingError(
                f"The primary key names {name!r}; there is no such column.", column=name
            )
    return tuple(spelled[name.lower()] for name in key)


def checked_keys(
    rows: pa.RecordBatchReader, key: tuple[str, ...], *, is_sorted: bool = True
) -> pa.RecordBatchReader:
    """Return the same rows, which are sorted by ``key``; nulls count as equal.

    The reader raises :class:`DuplicateKeyError` when it meets two rows with the same key, and
    without ``is_sorted`` :class:`OutOfOrderError` when it meets a row before its turn.
    """
    return pa.RecordBatchReader.from_batches(rows.schema, _checked(rows, key, is_sorted))


def _checked(
    rows: pa.RecordBatchReader, key: tuple[str, ...], is_sorted: bool
) -> Iterator[pa.RecordBatch]:
    last = None
    for batch in rows:
        if batch.num_rows == 0:
            continue
        keys = comparable(batch, key)
        joined = keys if last is None else pa.concat_tables([last, keys])
        if not is_sorted and not _is_in_order(joined):
            raise OutOfOrderError
        if pc.any(equal_neighbours(joined)).as_py():
            columns = ", ".join(key)
            raise DuplicateKeyError(
                f"Several rows have the same values in the primary key ({columns}).",
                columns=list(key),
            )
        last = keys.slice(keys.num_rows - 1)
        yield batch


def _is_in_order(keys: pa.Table) -> bool:
    places = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.schema.names])
    return bool(places.equals(pa.array(range(keys.num_rows), pa.uint64())))


def without_nulls(rows: pa.RecordBatchReader, key: tuple[str, ...]) -> pa.RecordBatchReader:
    """Return the same rows; the reader raises :class:`NullKeyError` at a null in the key."""
    return pa.RecordBatchReader.from_batches(rows.schema, _without_nulls(rows, key))


def _without_nulls(rows: pa.RecordBatchReader, key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        for name in key:
            if batch.column(name).null_count:
                raise NullKeyError(
                    f"A row has no value in {name!r}, which is part of the primary key.",
                    column=name,
                )
        yield batch


def equal_neighbours(keys: pa.Table) -> Any:
    """Say of each row but the last whether the next one has the same key; nulls count as equal."""
    equal: Any = pa.repeat(True, max(0, keys.num_rows - 1))
    for column in keys.columns:
        before, after = column.slice(0, len(equal)), column.slice(1)
        same = pc.fill_null(pc.equal(before, after), False)
        equal = pc.and_(equal, pc.or_(same, pc.and_(before.is_null(), after.is_null())))
    return equal


def comparable(rows: pa.Table | pa.RecordBatch, key: tuple[str, ...]) -> pa.Table:
    """Return the columns of ``key`` in types that Arrow can sort and compare, in that order."""
    return pa.table({name: _plain(rows.column(name)) for name in key})


def _plain(column: Any) -> Any:
    """Return the storage of UUIDs and the like."""
    if isinstance(column, pa.ChunkedArray):
        kind = getattr(column.type, "storage_type", column.type)
        return pa.chunked_array([_plain(chunk) for chunk in column.chunks], kind)
    return getattr(column, "storage", column)
