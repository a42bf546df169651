"""Makes Parquet files that mean no good."""

from __future__ import annotations

import io
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 12_345
_PLAIN = {"use_dictionary": False, "store_schema": False, "compression": "none"}


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Return the file of a table, as plain as it can be."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **{**_PLAIN, **options})
    return sink.getvalue()


def numbers(**options: Any) -> bytes:
    """Return a file with a column of numbers, and checksums of pages if asked for."""
    return parquet(pa.table({"id": pa.array(range(ROWS), pa.int32())}), **options)


def claiming(rows: int) -> bytes:
    """Return a file whose footer claims other numbers of rows everywhere."""
    data = numbers(write_statistics=False)
    footer = _footer(data)
    claimed = footer.replace(_number(ROWS), _number(rows))
    assert claimed != footer
    return data[: -8 - len(footer)] + claimed + struct.pack("<I", len(claimed)) + b"PAR1"


def flipped() -> bytes:
    """Return a file with checksums and one flipped bit in the middle of its only page."""
    return _with_flipped_bit(numbers(write_page_checksum=True))


def flipped_without_checksums() -> bytes:
    """Return a file in which a flipped bit of a value is noticed by its statistics only."""
    data = bytearray(numbers())
    data[data.index((ROWS // 2).to_bytes(4, "little")) + 3] ^= 0x40
    return bytes(data)


def lying_statistics() -> bytes:
    """Return a file whose statistics exclude most of its rows."""
    data = numbers()
    footer = data.rindex((ROWS - 1).to_bytes(4, "little"), 0)
    return data[:footer] + (7).to_bytes(4, "little") + data[footer + 4 :]


def nested(depth: int, *, in_structs: bool) -> bytes:
    """Return a file with one value that many levels deep."""
    kind: Any = pa.int32()
    value: Any = 7
    for _ in range(depth):
        kind = pa.struct([("a", kind)]) if in_structs else pa.list_(kind)
        value = {"a": value} if in_structs else [value]
    return parquet(pa.table({"deep": pa.array([value], kind)}))


def wide(columns: int) -> bytes:
    """Return a file of that many columns."""
    one = pa.array([1], pa.int8())
    return parquet(pa.table([one] * columns, names=[f"c{number}" for number in range(columns)]))


def value_of_zeros(size: int) -> bytes:
    """Return a small file with one page, which is one huge value."""
    value = pa.table({"zeros": pa.array([bytes(size)], pa.binary())})
    return parquet(value, compression="zstd", write_statistics=False)


def _with_flipped_bit(data: bytes) -> bytes:
    middle = (len(data) - len(_footer(data))) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


def _footer(data: bytes) -> bytes:
    size = struct.unpack("<I", data[-8:-4])[0]
    return data[-8 - size : -8]


def _number(value: int) -> bytes:
    """Return a number as the footer has it: zigzag, seven bits a byte."""
    rest, written = value << 1, b""
    while rest > 0x7F:
        written += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return written + bytes([rest])
