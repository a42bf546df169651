"""The row hash gives the documented numbers, and the same ones for ever."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from extracts.engine import rowhash

MODULUS = 1 << 64


def hash_of_words(*words: int) -> int:
    """Compute the hash of a row as the documentation says, without Arrow."""
    value = rowhash.SEED
    for word in words:
        value = (value ^ word) * rowhash.STEP % MODULUS
        value ^= value >> 32
    value = value * rowhash.FINAL % MODULUS
    return value ^ (value >> 29)


def word_of_bytes(data: bytes) -> int:
    head = int.from_bytes(data[:8], "little")
    tail = int.from_bytes(data[-8:], "little") if len(data) > 8 else 0
    return (head ^ (tail * rowhash.FINAL) ^ (len(data) * rowhash.SIZE)) % MODULUS


def hash_of(value: object, kind: pa.DataType) -> int:
    return rowhash.row_hashes(pa.record_batch({"x": pa.array([value], kind)}))[0].as_py()


class TestRowHashes:
    @pytest.mark.parametrize(
        ("value", "kind", "expected"),
        [
            (0, pa.int64(), 0xF7A19DDDD02A5A5D),
            (1, pa.int64(), 0xFF911DF678AE63DE),
            (-1, pa.int32(), 0x763F75982F27C893),
            ("", pa.string(), 0xF7A19DDDD02A5A5D),
            ("agnes", pa.string(), 0x03B267FF4D8CE828),
            ("a longer piece of text", pa.string(), 0xCE556170EB1B6612),
            (None, pa.string(), 0x185A0B7C19D7EDB5),
            (1.5, pa.float64(), 0x8B6D411E9B34BC58),
        ],
    )
    def test_have_not_changed(self, value, kind, expected):
        assert hash_of(value, kind) == expected

    @pytest.mark.parametrize(
        ("value", "kind", "word"),
        [
            (True, pa.bool_(), 1),
            (-3, pa.int8(), -3 % MODULUS),
            (MODULUS - 2, pa.uint64(), MODULUS - 2),
            (date(1970, 1, 3), pa.date32(), 2),
            (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), pa.timestamp("us", "UTC"), 10**6),
            (-0.0, pa.float64(), 1 << 63),
            (1.0, pa.float32(), 0x3F800000),
            (Decimal("-1.50"), pa.decimal128(38, 2), (-150 ^ (-rowhash.STEP)) % MODULUS),
            (Decimal("1.50"), pa.decimal128(9, 2), 150),
            ("", pa.string(), 0),
            ("12345678", pa.string(), word_of_bytes(b"12345678")),
            ("123456789", pa.string(), word_of_bytes(b"123456789")),
            ("žluťoučký kůň", pa.string(), word_of_bytes("žluťoučký kůň".encode())),
            (b"\0\0", pa.binary(), word_of_bytes(b"\0\0")),
            (None, pa.int64(), rowhash.NULL_WORD),
            ([1, 2], pa.list_(pa.int64()), 0),
        ],
    )
    def test_follow_the_documented_words(self, value, kind, word):
        assert hash_of(value, kind) == hash_of_words(word)

    def test_of_a_row_mix_its_columns_in_their_order(self):
        batch = pa.record_batch({"a": [1], "b": ["x"]})

        assert rowhash.row_hashes(batch)[0].as_py() == hash_of_words(1, word_of_bytes(b"x"))
        assert rowhash.row_hashes(batch, ("b", "a"))[0].as_py() == hash_of_words(
            word_of_bytes(b"x"), 1
        )

    def test_do_not_depend_on_the_place_of_a_row_in_its_batch(self):
        texts = [None if i % 7 == 0 else "é" * (i % 23) for i in range(1000)]
        amounts = [None if i % 5 == 0 else Decimal(i) / 4 for i in range(1000)]
        batch = pa.record_batch(
            {"t": texts, "d": pa.array(amounts, pa.decimal128(20, 2)), "n": range(1000)}
        )

        alone = [rowhash.row_hashes(batch.slice(i, 1))[0].as_py() for i in range(1000)]

        assert rowhash.row_hashes(batch).to_pylist() == alone
        assert rowhash.row_hashes(batch.slice(333, 100)).to_pylist() == alone[333:433]

    def test_do_not_depend_on_the_layout_of_text(self):
        texts = ["x", None, "yy" * 9, "x"]
        layouts = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]

        hashes = {
            tuple(rowhash.row_hashes(pa.record_batch({"t": pa.array(texts, kind)})).to_pylist())
            for kind in layouts
        }

        assert len(hashes) == 1

    def test_spread_consecutive_numbers_evenly(self):
        hashes = rowhash.row_hashes(pa.record_batch({"id": range(1 << 17)})).to_pylist()

        buckets = [0] * 64
        for value in hashes:
            buckets[value % 64] += 1

        assert min(buckets) > 1800
        assert max(buckets) < 2300

    def test_are_empty_for_no_rows(self):
        assert len(rowhash.row_hashes(pa.record_batch({"t": pa.array([], pa.string())}))) == 0
