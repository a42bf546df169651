"""Rows of a query as JSON, CSV, Parquet or text, every value as exact as the format allows."""

from __future__ import annotations

import csv
import datetime
import json
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from analyst_cli import output
from analyst_cli.sql import quote_identifier

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 2048

Row = tuple[Any, ...]


def unique_names(names: Iterable[str]) -> list[str]:
    """Return names that differ, also in case alone: the second ``id`` becomes ``id_1``."""
    given = list(names)
    taken = {name.lower() for name in given}
    seen: set[str] = set()
    result = []
    for name in given:
        unique, number = name, 1
        while unique.lower() in seen or (unique != name and unique.lower() in taken):
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique.lower())
        result.append(unique)
    return result


def batches(relation: duckdb.DuckDBPyRelation) -> Iterator[list[Row]]:
    """Yield the rows without holding all of them."""
    while batch := relation.fetchmany(_BATCH_ROWS):
        yield batch


def write_json(relation: duckdb.DuckDBPyRelation, file: IO[str]) -> int:
    """Write a JSON list of objects, one a line; return the number of rows.

    Integers are written with all digits; decimals are texts, since most programs read numbers
    as floats.
    """
    names = unique_names(relation.columns)
    count = 0
    file.write("[")
    for batch in batches(relation):
        for row in batch:
            values = (json_value(value) for value in row)
            line = json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False)
            file.write(("\n" if count == 0 else ",\n") + line)
            count += 1
    file.write("\n]\n" if count else "]\n")
    return count


def write_csv(relation: duckdb.DuckDBPyRelation, file: IO[str]) -> int:
    """Write CSV with a line of names; return the number of rows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(unique_names(relation.columns))
    count = 0
    for batch in batches(relation):
        writer.writerows([text_value(value) for value in row] for row in batch)
        count += len(batch)
    return count


def write_table(relation: duckdb.DuckDBPyRelation, file: IO[str]) -> int:
    """Write aligned text, or vertical records on a terminal too narrow; return the rows."""
    rows = relation.fetchall()
    shown = [[_shown(value) for value in row] for row in rows]
    text = output.table(unique_names(relation.columns), shown, width=output.terminal_width())
    file.write(text + "\n")
    return len(rows)


def write_parquet(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write a Parquet file; columns of the same name are kept apart as in the other formats."""
    names = unique_names(relation.columns)
    columns = ", ".join(quote_identifier(name) for name in names)
    view = f"FROM result AS result({columns})"
    relation.query("result", view).write_parquet(str(path), compression="zstd")


def json_value(value: Any) -> Any:
    """Return what stands for a value in JSON."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    return _text(value, separator="T")


def text_value(value: Any) -> str:
    """Return what stands for a value in CSV."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(json_value(value), ensure_ascii=False)
    return _text(value, separator="T")


def _shown(value: Any) -> Any:
    """Return what stands for a value in a table for people."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime.datetime):
        return _text(value, separator=" ")
    return text_value(value)


def _text(value: Any, *, separator: str) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=separator)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)
