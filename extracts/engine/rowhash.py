"""A hash of rows that never changes: it decides where row groups are cut.

The function has a name, because files written with it remember the name. A function that
gives other numbers is another function and gets another name.

``agnes-rowhash-1``, all arithmetic on unsigned 64-bit integers modulo 2**64:

1. Each value becomes one word.

   - null: ``NULL_WORD``
   - boolean: 0 or 1
   - signed integer, date, time, timestamp, duration: its two's complement, sign-extended
   - unsigned integer: itself
   - floating point: its IEEE 754 bits, zero-extended (so ``-0.0`` differs from ``0.0``)
   - decimal of at most 128 bits: ``low ^ (high * STEP)`` of its 128-bit two's complement
   - text and bytes of ``n`` bytes: ``a ^ (z * FINAL) ^ (n * SIZE)``, where ``a`` are its first
     8 bytes (those that do not exist are 0) and ``z``, if ``n > 8``, its last 8 bytes, read as
     little-endian numbers
   - a dictionary-encoded value: the word of the value itself
   - nested and other values: 0

2. A row starts with ``h = SEED``. Each column in turn: ``h = (h ^ word) * STEP``, then
   ``h = h ^ (h >> 32)``.

3. The hash of the row is ``h`` after ``h = h * FINAL`` and ``h = h ^ (h >> 29)``.

The function spreads rows evenly; it is no protection against somebody who chooses the rows.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from extracts.engine.kernels import pc

# An array with a word for each value, or the one word of all values.
Words = Any

NAME = "agnes-rowhash-1"

STEP = 0xBF58476D1CE4E5B9
FINAL = 0x94D049BB133111EB
SIZE = 0x9E3779B97F4A7C15
SEED = 0xE7037ED1A0B428DB
NULL_WORD = 0xD6E8FEB86659FD93


def row_hashes(batch: pa.RecordBatch, columns: tuple[str, ...] = ()) -> pa.UInt64Array:
    """Return the hash of each row over ``columns``, or over all columns when none are named."""
    hashes: Words = pa.repeat(_word(SEED), batch.num_rows)
    for column in [batch.column(name) for name in columns] or batch.columns:
        hashes = _folded(pc.multiply(pc.bit_wise_xor(hashes, _words(column)), _word(STEP)), 32)
    last: pa.UInt64Array = _folded(pc.multiply(hashes, _word(FINAL)), 29)
    return last


def _folded(words: Words, bits: int) -> Words:
    return pc.bit_wise_xor(words, pc.shift_right(words, _word(bits)))


def _words(column: Any) -> Words:
    """Return one word per value, or a single word when all values have the same one."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    words = _words_of_values(column)
    if column.null_count == 0 or isinstance(words, pa.Scalar):
        return words
    return pc.if_else(column.is_valid(), words, _word(NULL_WORD))


def _words_of_values(column: Any) -> Words:
    kind = column.type
    if pa.types.is_null(kind):
        return _word(NULL_WORD)
    if pa.types.is_boolean(kind) or pa.types.is_unsigned_integer(kind):
        return column.cast(pa.uint64())
    if pa.types.is_floating(kind):
        return column.view(_UNSIGNED[kind.bit_width]).cast(pa.uint64())
    if pa.types.is_signed_integer(kind) or pa.types.is_temporal(kind):
        return _signed_words(column)
    if pa.types.is_decimal(kind) and kind.bit_width <= 128:
        return _decimal_words(column)
    if _is_bytes(kind):
        return _bytes_words(column)
    return _word(0)


_UNSIGNED = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def _signed_words(column: Any) -> Words:
    if column.type.bit_width not in _SIGNED:  # an interval
        return _word(0)
    return column.view(_SIGNED[column.type.bit_width]).cast(pa.int64()).view(pa.uint64())


def _decimal_words(column: Any) -> Words:
    wide = column.cast(pa.decimal128(38, column.type.scale))
    buffer = wide.buffers()[1]
    halves = pa.Array.from_buffers(
        pa.uint64(), 2 * len(wide), [None, buffer], offset=2 * wide.offset
    )
    ends = pc.multiply(pc.cumulative_sum(pa.repeat(1, len(wide))), 2)
    high = pc.multiply(halves.take(pc.subtract(ends, 1)), _word(STEP))
    return pc.bit_wise_xor(halves.take(pc.subtract(ends, 2)), high)


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _bytes_words(column: Any) -> Words:
    values = column.cast(pa.large_binary())
    _, offset_buffer, data = values.buffers()
    offsets = pa.Array.from_buffers(
        pa.int64(), len(values) + 1, [None, offset_buffer], offset=values.offset
    )
    octets = _Octets(data=data, first=offsets[0].as_py(), last=offsets[-1].as_py())
    starts = pc.subtract(offsets.slice(0, len(values)), offsets[0])
    ends = pc.subtract(offsets.slice(1), offsets[0])
    lengths = pc.subtract(ends, starts)
    known = pc.min_element_wise(lengths, 9)

    head = pc.bit_wise_and(octets.words_at(starts), _HEAD_MASKS.take(known))
    tail = octets.words_at(pc.max_element_wise(pc.subtract(ends, 8), 0))
    tail = pc.bit_wise_and(tail, _TAIL_MASKS.take(known))
    mixed = pc.bit_wise_xor(head, pc.multiply(tail, _word(FINAL)))
    return pc.bit_wise_xor(mixed, pc.multiply(lengths.cast(pa.uint64()), _word(SIZE)))


_ALL = (1 << 64) - 1
_HEAD_MASKS = pa.array([(1 << 8 * length) - 1 for length in range(8)] + [_ALL, _ALL], pa.uint64())
_TAIL_MASKS = pa.array([0] * 9 + [_ALL], pa.uint64())


class _Octets:
    """Bytes from which a little-endian word can be read at any place."""

    def __init__(self, *, data: pa.Buffer | None, first: int, last: int) -> None:
        # The copy is aligned, and padded so that a word may reach beyond the last byte.
        padded: Any = pa.repeat(pa.scalar(0, pa.uint8()), 32)
        if data is not None and last > first:
            octets = pa.Array.from_buffers(pa.uint8(), last - first, [None, data], offset=first)
            padded = pa.concat_arrays([octets, padded])
        words = len(padded) // 8
        self._words = pa.Array.from_buffers(pa.uint64(), words, [None, padded.buffers()[1]])

    def words_at(self, places: Any) -> Words:
        """Return the 8 bytes that start at each of ``places``."""
        low = pc.shift_right(places, pa.scalar(3, pa.int64()))
        skipped = pc.multiply(pc.bit_wise_and(places, pa.scalar(7, pa.int64())), 8)
        skipped = skipped.view(pa.uint64())
        below = pc.shift_right(pc.take(self._words, low, boundscheck=False), skipped)
        above = pc.take(self._words, pc.add(low, 1), boundscheck=False)
        # Two shifts, since a shift by all 64 bits is undefined.
        above = pc.shift_left(pc.shift_left(above, _word(1)), pc.subtract(_word(63), skipped))
        return pc.bit_wise_or(below, above)


def _word(number: int) -> pa.UInt64Scalar:
    return pa.scalar(number, pa.uint64())
