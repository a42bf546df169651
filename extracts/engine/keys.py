"""Refuse rows that share a primary key, while they stream by in its order."""

from __future__ import annotations

from collections.abc import Iterator

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


class OutOfOrderError(Exception):
    """Rows that were hoped to be sorted are not."""


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
        keys = pa.Table.from_batches([batch]).select(list(key))
        joined = keys if last is None else pa.concat_tables([last, keys])
        if not is_sorted and not _is_in_order(joined):
            raise OutOfOrderError
        if _has_equal_neighbours(joined):
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


def _has_equal_neighbours(keys: pa.Table) -> bool:
    if keys.num_rows < 2:
        return False
    equal = None
    for column in keys.columns:
        before, after = column.slice(0, len(column) - 1), column.slice(1)
        same = pc.fill_null(pc.equal(before, after), False)
        same = pc.or_(same, pc.and_(before.is_null(), after.is_null()))
        equal = same if equal is None else pc.and_(equal, same)
    return bool(pc.any(equal).as_py())
