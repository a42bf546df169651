"""Look into files that are served: their first rows, and what their footers say of each column.

Called in a child process, since a file may come from somebody else's writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.progress import Progress
from extracts.engine.texts import shortened, texts

# More than this is not read for a look: so many row groups, each with so many columns.
_MOST_CHUNKS = 200_000
_LONGEST_BOUND = 60


@dataclass
class _Figures:
    """What the footers say of one column; the bounds of times are numbers until the end."""

    kind: Any
    nulls: int | None = 0
    low: Any = None
    high: Any = None
    is_bounded: bool = True

    def add(self, said: Any) -> None:
        """Count in what one row group says of the column."""
        if said is None or not said.has_null_count:
            self.nulls = None
        elif self.nulls is not None:
            self.nulls += said.null_count
        if said is not None and said.has_min_max:
            low, high = (said.min_raw, said.max_raw) if self._is_time else (said.min, said.max)
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)
        elif said is None or said.num_values:
            # Very long values have no bounds in the footer; those of the others are not all.
            self.is_bounded = False

    def as_json(self) -> dict[str, Any]:
        """Return what is known of the column as a whole."""
        low, high = (self.low, self.high) if self.is_bounded else (None, None)
        return {"nulls": self.nulls, "low": self._bound(low), "high": self._bound(high)}

    @property
    def _is_time(self) -> bool:
        return bool(pa.types.is_temporal(self.kind))

    def _bound(self, value: Any) -> str | None:
        if value is None:
            return None
        if not self._is_time:
            text = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
            return shortened(text, _LONGEST_BOUND)
        number = pa.array([value], pa.int32() if self.kind.bit_width == 32 else pa.int64())
        return texts(number.view(self.kind), longest=_LONGEST_BOUND)[0]


def first_rows(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the first ``rows`` rows of the files at ``paths``, each value as a short text.

    At most ``columns`` columns are read; ``total_columns`` says how many there are.
    """
    rows: list[list[str | None]] = []
    names: list[str] = []
    total = 0
    for path in arguments["paths"]:
        with pq.ParquetFile(Path(path)) as file:
            schema = file.schema_arrow
            names, total = schema.names[: arguments["columns"]], len(schema.names)
            wanted = arguments["rows"] - len(rows)
            rows += _texts(file, names, wanted, longest=arguments["longest"])
        if len(rows) >= arguments["rows"]:
            break
    return {"columns": names, "rows": rows, "total_columns": total}


def figures(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Return, by column, how many values are missing and the bounds of the others.

    Only what the footers of the files at ``paths`` say is told; nothing for files of too many
    row groups.
    """
    found: dict[str, _Figures] = {}
    looked_at = rows = 0
    for path in arguments["paths"]:
        with pq.ParquetFile(Path(path)) as file:
            looked_at += file.metadata.num_row_groups * file.metadata.num_columns
            if looked_at > _MOST_CHUNKS:
                return {"rows": 0, "columns": {}}
            rows += file.metadata.num_rows
            _add(file, found)
    return {
        "rows": rows,
        "columns": {name: each.as_json() for name, each in found.items()},
    }


def _texts(
    file: pq.ParquetFile, names: list[str], wanted: int, *, longest: int
) -> list[list[str | None]]:
    if not file.metadata.num_row_groups:
        return []
    columns = [name for name in names if "." not in name]
    chosen = columns if len(columns) == len(names) else None  # a dot would be read as a path
    batches = file.iter_batches(batch_size=wanted, columns=chosen, use_threads=False)
    batch = next(batches, None)
    if batch is None:
        return []
    values = [texts(batch.column(name), longest=longest) for name in names]
    return [list(row) for row in zip(*values, strict=True)]


def _add(file: pq.ParquetFile, found: dict[str, _Figures]) -> None:
    names = set(file.schema_arrow.names)
    for number in range(file.metadata.num_columns):
        column = file.schema.column(number)
        if column.path not in names or column.max_repetition_level > 0:
            continue
        kind = file.schema_arrow.field(column.path).type
        each = found.setdefault(column.path, _Figures(kind=kind))
        for group in range(file.metadata.num_row_groups):
            chunk = file.metadata.row_group(group).column(number)
            each.add(chunk.statistics if chunk.is_stats_set else None)
