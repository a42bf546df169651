"""The first rows of a table as a page shows them: texts of bounded length."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from extracts.engine.columns import column_specs
from extracts.engine.texts import texts

MAX_TEXT = 200
MAX_COLUMNS = 200


def shown(table: pa.Table) -> dict[str, Any]:
    """Return columns with their types, and rows of texts; ``None`` is a value that is missing."""
    kept = table.select(range(min(MAX_COLUMNS, table.num_columns)))
    columns = [{"name": spec.name, "type": spec.type} for spec in column_specs(kept.schema)]
    values = [texts(column, longest=MAX_TEXT) for column in kept.columns]
    return {
        "columns": columns,
        "rows": [list(row) for row in zip(*values, strict=True)],
        "hidden_columns": table.num_columns - len(columns),
    }
