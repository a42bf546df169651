"""Write the rows that a reader gives, sorted by the primary key where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import duckdb
import pyarrow as pa

from catalog.connectors import CandidatePart, Output
from extracts.connectors.files.reading import Reader
from extracts.connectors.files.session import is_about_data, suit_width
from extracts.engine.keys import OutOfOrderError, checked_keys, spelled_key
from extracts.engine.session import batch_rows
from extracts.engine.sorting import sorted_rows

_Read = TypeVar("_Read")


def write(
    connection: duckdb.DuckDBPyConnection,
    reader: Reader,
    out: Output,
    *,
    primary_key: tuple[str, ...],
    part: str = "",
) -> CandidatePart:
    """Write all rows as one part.

    Raises:
        InvalidInputError: a file or row is not as it should be; the message says where.
    """
    names = [column.name for column in reader.columns]
    key = spelled_key(primary_key, names)
    suit_width(connection, len(names))
    reader.check()
    return with_care(reader, lambda: _write_in_order(connection, reader, key, out, part))


def first_rows(reader: Reader, count: int) -> pa.Table:
    """Return the first ``count`` rows.

    Raises:
        InvalidInputError: a file or row is not as it should be; the message says where.
    """
    return with_care(reader, lambda: _first(reader, count))


def with_care(reader: Reader, read: Callable[[], _Read]) -> _Read:
    """Do what reads rows, once more with care where the data call for it.

    Raises:
        InvalidInputError: a file or row is not as it should be; the message says where.
    """
    try:
        return read()
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if not is_about_data(error):
            raise
        if not reader.recover():
            raise reader.explain(error) from error
    return with_care(reader, read)


def _write_in_order(
    connection: duckdb.DuckDBPyConnection,
    reader: Reader,
    key: tuple[str, ...],
    out: Output,
    part: str,
) -> CandidatePart:
    size = batch_rows(len(reader.columns))
    rows = reader.rows(size)
    if not key:
        return out.write(rows, key=part)
    try:
        # Most exports are sorted by their key; those that are not show it soon.
        return out.write(checked_keys(rows, key, is_sorted=False), key=part, order=key)
    except OutOfOrderError:
        scratch = out.scratch / "sorting" / part
        scratch.mkdir(parents=True)
        rows = sorted_rows(connection, reader.rows(size), key, scratch=scratch, batch_rows=size)
        return out.write(checked_keys(rows, key), key=part, order=key)


def _first(reader: Reader, count: int) -> pa.Table:
    rows = reader.rows(2048)
    taken: list[pa.RecordBatch] = []
    for batch in rows:
        taken.append(batch)
        if sum(each.num_rows for each in taken) >= count:
            break
    return pa.Table.from_batches(taken, rows.schema).slice(0, count)
