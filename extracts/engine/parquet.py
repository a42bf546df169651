"""The one writer of Parquet: every file that is served, of any size, is written here.

The same rows in the same order give the same bytes, in any process and however the rows
arrive in batches. Pages carry checksums; row groups are cut by content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.progress import Progress, silent
from extracts.engine import rowgroups, rowhash
from extracts.engine.columns import canonical_schema, column_specs, schema_hash
from extracts.engine.kernels import pc

WRITER = "agnes-parquet-1"

# What the writer records in a file: JSON, and a hash of its columns.
WRITER_KEY = "agnes.writer"
ORDER_KEY = "agnes.order"
CUT_KEY = "agnes.cut"
SCHEMA_KEY = "agnes.schema_hash"

# Batches are looked at in slices: small enough for memory, large enough for speed.
_SLICE_ROWS = 16 * 1024


class OrderColumnMissingError(InvalidInputError):
    """The rows are said to be ordered by a column that they do not have."""

    code = "order_column_missing"
    hint = "Check the primary key of the table against its columns."


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a written file holds."""

    rows: int
    bytes: int


def write_parquet(
    batches: pa.RecordBatchReader,
    path: Path,
    *,
    order: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Written:
    """Write ``batches``, which are sorted by ``order``, to ``path``; empty means as they come.

    The file is not synced to disk, and is incomplete after an error.

    Raises:
        ColumnNameError: a column has a name that cannot be served.
        ColumnTypeError: a column has a type that cannot be stored without loss.
        OrderColumnMissingError: ``order`` names a column that is not there.
    """
    schema = canonical_schema(batches.schema)
    order = _spelled_as_in(schema, order)
    groups = rowgroups.row_groups(_slices(batches, schema), schema=schema, order=order)
    rows = 0
    with pq.ParquetWriter(path, schema, **_options(schema)) as writer:
        for group in _written_behind(groups, writer):
            rows += group
            progress("write", done=rows)
        writer.add_key_value_metadata(_recorded(schema, order))
    return Written(rows=rows, bytes=path.stat().st_size)


def _written_behind(groups: Iterator[pa.Table], writer: pq.ParquetWriter) -> Iterator[int]:
    """Write each row group in a thread while the next one is read; yield their rows."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        before: Future[None] | None = None
        for group in groups:
            if before is not None:
                before.result()
            before = executor.submit(writer.write_table, group, row_group_size=group.num_rows)
            yield group.num_rows
            del group
        if before is not None:
            before.result()


def _spelled_as_in(schema: pa.Schema, order: tuple[str, ...]) -> tuple[str, ...]:
    spelled = {name.lower(): name for name in schema.names}
    for name in order:
        if name.lower() not in spelled:
            raise OrderColumnMissingError(
                f"The table has no column {name!r} to order it by.", column=name
            )
    return tuple(spelled[name.lower()] for name in order)


def _slices(batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    is_canonical = batches.schema.equals(schema, check_metadata=True)
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            piece = batch.slice(start, _SLICE_ROWS)
            yield piece if is_canonical else _cast(piece, schema)


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns: list[Any] = []
    for column, field in zip(batch.columns, schema, strict=True):
        columns.append(column if column.type == field.type else _decoded(column).cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _decoded(column: Any) -> Any:
    """Return ``column`` without the layouts from which there is no direct cast."""
    if isinstance(column, pa.ExtensionArray):
        return column.storage
    if isinstance(column, pa.RunEndEncodedArray):
        return pc.run_end_decode(column)
    return column


def _options(schema: pa.Schema) -> dict[str, Any]:
    deltas = [field.name for field in schema if _is_delta(field.type)]
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [field.name for field in schema if field.name not in deltas],
        "column_encoding": dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
        "store_decimal_as_integer": True,
        "write_page_checksum": True,
        "write_page_index": True,
        # The Arrow schema holds what is no part of the data, such as the zone of a session.
        "store_schema": False,
    }


def _is_delta(kind: Any) -> bool:
    return (
        pa.types.is_integer(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or pa.types.is_timestamp(kind)
    )


def _recorded(schema: pa.Schema, order: tuple[str, ...]) -> dict[str, str]:
    cut = {
        "rule": rowgroups.NAME,
        "hash": rowhash.NAME,
        "bits": rowgroups.HASH_BITS,
        "min_rows": rowgroups.MIN_ROWS,
        "max_rows": rowgroups.MAX_ROWS,
        "max_bytes": rowgroups.MAX_BYTES,
    }
    facts = {WRITER_KEY: WRITER, ORDER_KEY: order, CUT_KEY: cut}
    recorded = {key: json.dumps(value, sort_keys=True) for key, value in facts.items()}
    return {**recorded, SCHEMA_KEY: schema_hash(column_specs(schema))}
