"""Compare the statistics of a Parquet file with its values: engines skip rows because of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from extracts.engine.kernels import pc


class ChunkBounds:
    """What the values of some columns in one row group really are."""

    def __init__(self) -> None:
        self._nulls: dict[str, int] = {}
        self._low: dict[str, Any] = {}
        self._high: dict[str, Any] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at more values."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self._nulls[name] = self._nulls.get(name, 0) + column.null_count
            comparable = _comparable(column)
            if comparable is None:
                continue
            found: dict[str, Any] = pc.min_max(comparable).as_py()
            if found["min"] is not None:
                self._low[name] = min(self._low.get(name, found["min"]), found["min"])
                self._high[name] = max(self._high.get(name, found["max"]), found["max"])

    def check(self, group: pq.RowGroupMetaData, schema: pq.ParquetSchema) -> None:
        """Compare with what a row group of a file with this schema says, after its decoding.

        Raises:
            ValueError: the statistics of a column exclude one of its values.
        """
        for name, said in _statistics(group, schema, set(self._nulls)):
            if said.has_null_count and said.null_count != self._nulls[name]:
                raise ValueError(f"the statistics of column {name!r} count its nulls wrongly")
            if not said.has_min_max or name not in self._low:
                continue
            # A file may give wider bounds than its values have, never narrower ones.
            if said.min_raw > self._low[name] or said.max_raw < self._high[name]:
                raise ValueError(f"the statistics of column {name!r} exclude some of its values")


def _statistics(
    group: pq.RowGroupMetaData, schema: pq.ParquetSchema, decoded: set[str]
) -> Iterator[tuple[str, Any]]:
    """Yield name and statistics of those decoded columns that are not nested and have some.

    A damaged footer ends the process when it is asked about a column that was not decoded.

    Raises:
        ValueError: the row group does not fit the schema.
    """
    if group.num_columns != len(schema):
        raise ValueError("it does not have as many columns as the file")
    for number in range(group.num_columns):
        column = schema.column(number)
        if column.path not in decoded or column.max_repetition_level > 0:
            continue
        chunk = group.column(number)
        if chunk.path_in_schema != column.path:
            raise ValueError(f"column {column.path!r} is named {chunk.path_in_schema!r} in it")
        if chunk.physical_type != column.physical_type:
            raise ValueError(f"column {column.path!r} does not have the type of the file")
        if chunk.is_stats_set and chunk.statistics is not None:
            yield column.path, chunk.statistics


def _comparable(column: Any) -> Any:
    """Return the values as the file's statistics give them; ``None`` for some rare types."""
    kind = column.type
    if pa.types.is_floating(kind):
        return column.filter(pc.invert(pc.is_nan(column)))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column.cast(pa.binary())
    if pa.types.is_int64(kind) or pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return column.view(pa.int64())
    if pa.types.is_int32(kind) or pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.view(pa.int32())
    if pa.types.is_int8(kind) or pa.types.is_int16(kind):
        return column
    return None
