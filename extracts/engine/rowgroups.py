"""Cut a stream of rows into row groups by content, so that versions of a table share them.

The rule ``agnes-cut-1``: a row group ends after the first row whose hash
(:mod:`extracts.engine.rowhash`) has its low 17 bits zero, but not before ``MIN_ROWS`` rows.
Where the next row would make more than ``MAX_ROWS`` rows or ``MAX_BYTES`` of raw size, the
group ends after that row of its second half (by rows) whose hash is smallest. So wide tables,
whose groups are always full before a hash hits, are cut by content as well. A row larger than
``MAX_BYTES`` is a group of its own.

Where groups end depends on the rows alone, never on how they arrive in batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from extracts.engine.kernels import pc
from extracts.engine.rowhash import row_hashes

NAME = "agnes-cut-1"

HASH_BITS = 17
MIN_ROWS = 32 * 1024
MAX_ROWS = 512 * 1024
MAX_BYTES = 32 * 1024 * 1024

_MASK = pa.scalar((1 << HASH_BITS) - 1, pa.uint64())


def row_groups(
    batches: Iterable[pa.RecordBatch], *, schema: pa.Schema, order: tuple[str, ...] = ()
) -> Iterator[pa.Table]:
    """Yield the rows of ``batches`` as row groups; the hash is over ``order``, or all columns."""
    pending = _Pending(schema)
    for batch in batches:
        pending.add(_piece(batch, order))
        while (rows := pending.rows_until_cut()) is not None:
            yield pending.take(rows)
    if pending.rows:
        yield pending.take(pending.rows)


@dataclass(frozen=True)
class _Piece:
    """Some rows in a row, with what decides where to cut them."""

    rows: pa.RecordBatch
    hashes: Any
    sizes: Any
    hits: tuple[int, ...]  # the rows after which a group may end

    def split(self, rows: int) -> tuple[pa.RecordBatch, _Piece]:
        """Return the first ``rows`` rows, and the rest."""
        rest = _Piece(
            rows=self.rows.slice(rows),
            hashes=self.hashes.slice(rows),
            sizes=self.sizes.slice(rows),
            hits=tuple(hit - rows for hit in self.hits if hit >= rows),
        )
        return self.rows.slice(0, rows), rest


def _piece(batch: pa.RecordBatch, order: tuple[str, ...]) -> _Piece:
    hashes = row_hashes(batch, order)
    is_hit = pc.equal(pc.bit_wise_and(hashes, _MASK), pa.scalar(0, pa.uint64()))
    hits = pc.indices_nonzero(is_hit).to_pylist()
    return _Piece(rows=batch, hashes=hashes, sizes=row_sizes(batch), hits=tuple(hits))


class _Pending:
    """Rows that are not yet part of a row group."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._bytes = 0
        self._pieces: list[_Piece] = []

    def add(self, piece: _Piece) -> None:
        if piece.rows.num_rows:
            self._pieces.append(piece)
            self.rows += piece.rows.num_rows
            self._bytes += pc.sum(piece.sizes).as_py()

    def rows_until_cut(self) -> int | None:
        """Return how many rows the next group has, or ``None`` until more rows tell."""
        fitting = self._fitting()
        hit = self._first_hit()
        if hit is not None and hit <= fitting:
            return hit
        if fitting == self.rows:
            return None
        return self._smallest_hash(fitting // 2, fitting) if fitting > 1 else 1

    def take(self, rows: int) -> pa.Table:
        """Remove the first ``rows`` rows and return them in one piece."""
        pieces, self._pieces, self.rows, self._bytes = self._pieces, [], 0, 0
        taken = []
        for piece in pieces:
            head, rest = piece.split(min(rows, piece.rows.num_rows))
            rows -= head.num_rows
            taken.append(head)
            self.add(rest)
        return pa.Table.from_batches(taken, self._schema).combine_chunks()

    def _fitting(self) -> int:
        """Return how many of the rows fit into one group."""
        if self._bytes <= MAX_BYTES:
            return min(self.rows, MAX_ROWS)
        rows, left = 0, MAX_BYTES
        for piece in self._pieces:
            ends = pc.cumulative_sum(piece.sizes)
            if ends[-1].as_py() > left:
                rows += pc.sum(pc.less_equal(ends, left)).as_py()
                break
            rows += len(ends)
            left -= ends[-1].as_py()
        return min(rows, MAX_ROWS)

    def _first_hit(self) -> int | None:
        """Return the number of rows up to the first one after which the group may end."""
        before = 0
        for piece in self._pieces:
            for hit in piece.hits:
                if before + hit + 1 >= MIN_ROWS:
                    return before + hit + 1
            before += piece.rows.num_rows
        return None

    def _smallest_hash(self, start: int, end: int) -> int:
        hashes = pa.chunked_array([piece.hashes for piece in self._pieces], pa.uint64())
        window = hashes.slice(start, end - start)
        return int(start + pc.index(window, pc.min(window)).as_py() + 1)


def row_sizes(batch: pa.RecordBatch) -> Any:
    """Return the raw size of each row in bytes.

    That is the width of each fixed-width value (a boolean has 1, a null as much as a value),
    and for text, bytes and lists 4 plus what they hold.
    """
    total: Any = pa.repeat(0, batch.num_rows)
    for column in batch.columns:
        total = pc.add(total, _sizes(column))
    return total


def _sizes(column: Any) -> Any:
    """Return the size of each value, or one number when all have the same."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return _sizes(column.storage)
    if pa.types.is_struct(kind):
        total: Any = 0
        for field in column.flatten():
            total = pc.add(total, _sizes(field))
        return total
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return _list_sizes(column)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        lengths = pc.fill_null(pc.binary_length(column), 0)
        return pc.add(lengths.cast(pa.int64()), 4)
    return max(1, kind.bit_width // 8)


def _list_sizes(column: Any) -> Any:
    offsets = column.offsets.cast(pa.int64())
    items = column.values if pa.types.is_list(column.type) else _entries(column)
    item_sizes = _sizes(items)
    if not isinstance(item_sizes, pa.Array):
        ends = pc.multiply(offsets, item_sizes)
    else:
        ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(item_sizes)])
        ends = ends.take(offsets)
    return pc.add(pc.subtract(ends.slice(1), ends.slice(0, len(column))), 4)


def _entries(column: Any) -> Any:
    return pa.StructArray.from_arrays([column.keys, column.items], names=["key", "value"])
