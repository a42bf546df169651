"""CSV files of a wanted number of rows and columns, the same on every day."""

from __future__ import annotations

from pathlib import Path

import duckdb

from agnes_site.core.sql import quote_literal

_EVENTS = """
    i AS id,
    TIMESTAMP '2024-01-01' + to_seconds(7 * i) AS occurred_at,
    hash(i) % 100000 AS customer_id,
    ['Amsterdam', 'Bilbao', 'Cork', 'Dresden', 'Evora', 'Faro', 'Graz', 'Hamar'][
        1 + (hash(i + 1) % 8)::INTEGER
    ] AS city,
    'SKU-' || lpad((hash(i + 2) % 5000)::VARCHAR, 6, '0') AS product,
    1 + hash(i + 3) % 9 AS quantity,
    ((hash(i + 4) % 1000000) / 100)::DECIMAL(12, 2) AS amount,
    hash(i + 5) % 3 = 0 AS is_paid,
    DATE '2024-01-01' + (i // 12000)::INTEGER AS due_on,
    md5(i::VARCHAR) AS reference
"""
# A few kinds of columns that take turns where there are many.
_KINDS = (
    "hash(i + {n}) % 1000 AS number_{n}",
    "((hash(i + {n}) % 100000) / 100)::DECIMAL(12, 2) AS price_{n}",
    "'group ' || (hash(i + {n}) % 50)::VARCHAR AS group_{n}",
    "DATE '2020-01-01' + (hash(i + {n}) % 2000)::INTEGER AS day_{n}",
)


def write_events(path: Path, *, rows: int) -> None:
    """Write events of a shop: ten columns, about 120 bytes a row."""
    _write(path, _EVENTS, rows=rows)


def write_wide(path: Path, *, rows: int, columns: int) -> None:
    """Write rows of many columns: numbers, prices, groups and days."""
    wanted = [_KINDS[n % len(_KINDS)].format(n=n) for n in range(1, columns)]
    _write(path, ", ".join(["i AS id", *wanted]), rows=rows)


def _write(path: Path, columns: str, *, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {columns} FROM range({rows:d}) AS numbers(i)) "
            f"TO {quote_literal(str(path))} (FORMAT csv, HEADER)"
        )
