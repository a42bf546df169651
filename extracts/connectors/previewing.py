"""The first rows of a table as a page shows them: texts of bounded length."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from pydantic_core import to_jsonable_python

from extracts.engine.columns import column_specs

MAX_TEXT = 200
MAX_COLUMNS = 200


def shown(table: pa.Table) -> dict[str, Any]:
    """Return columns with their types, and rows of texts; ``None`` is a value that is missing."""
    kept = table.select(range(min(MAX_COLUMNS, table.num_columns)))
    columns = [{"name": spec.name, "type": spec.type} for spec in column_specs(kept.schema)]
    values = [_values(column) for column in kept.columns]
    return {
        "columns": columns,
        "rows": [[_text(value) for value in row] for row in zip(*values, strict=True)],
        "hidden_columns": table.num_columns - len(columns),
    }


def _values(column: pa.ChunkedArray[Any]) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        # Times that Python has no type for: nanoseconds, years beyond 9999.
        found = column.cast(pa.string()).to_pylist()
    return found


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value[:MAX_TEXT].hex(" ")
    elif isinstance(value, (dict, list)):
        plain = to_jsonable_python(value, fallback=str, bytes_mode="base64")
        value = json.dumps(plain, ensure_ascii=False)
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
