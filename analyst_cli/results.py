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
_NAME = "_agnes_result"  # a table of this name could not be queried
_TEXT_OF = {
    "INTERVAL": "{}::VARCHAR",
    "TIMESTAMP_NS": "replace({}::VARCHAR, ' ', 'T')",
}

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


class Rows:
    """The rows of a result, at most ``limit`` of them (0: all), read once and in batches."""

    def __init__(self, relation: duckdb.DuckDBPyRelation, *, limit: int) -> None:
        self.columns = unique_names(relation.columns)
        self.is_cut = False
        self._limit = limit
        # One row more than is shown tells whether there are more, without a second run.
        limited = relation.limit(limit + 1) if limit else relation
        self._relation = _without_loss(limited, self.columns)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; ``is_cut`` says afterwards whether some were left out."""
        count = 0
        while batch := self._relation.fetchmany(_BATCH_ROWS):
            for row in batch:
                if self._limit and count == self._limit:
                    self.is_cut = True
                    return
                yield row
                count += 1


def write_json(rows: Rows, file: IO[str]) -> None:
    """Write a JSON list of objects, one a line.

    Integers are written with all digits; decimals are texts, since most programs read numbers
    as floats.
    """
    opening = "[\n"
    for row in rows:
        values = (json_value(value) for value in row)
        line = json.dumps(dict(zip(rows.columns, values, strict=True)), ensure_ascii=False)
        file.write(opening + line)
        opening = ",\n"
    file.write("[]\n" if opening == "[\n" else "\n]\n")


def write_csv(rows: Rows, file: IO[str]) -> None:
    """Write CSV with a line of names."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows([text_value(value) for value in row] for row in rows)


def write_table(rows: Rows, file: IO[str]) -> None:
    """Write aligned text, or vertical records on a terminal too narrow."""
    shown = [[_shown(value) for value in row] for row in rows]
    file.write(output.table(rows.columns, shown, width=output.terminal_width()) + "\n")


def write_parquet(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write a Parquet file; columns of the same name are kept apart as in the other formats."""
    names = unique_names(relation.columns)
    columns = ", ".join(quote_identifier(name) for name in names)
    view = f"FROM {_NAME} AS t({columns})"
    relation.query(_NAME, view).write_parquet(str(path), compression="zstd")


def _without_loss(relation: duckdb.DuckDBPyRelation, names: list[str]) -> duckdb.DuckDBPyRelation:
    """Let DuckDB write out what Python would round: nanoseconds, months of an interval."""
    kinds = [_TEXT_OF.get(str(kind)) for kind in relation.types]
    if not any(kinds):
        return relation
    quoted = [quote_identifier(name) for name in names]
    shown = [text.format(name) if text else name for name, text in zip(quoted, kinds, strict=True)]
    sql = f"SELECT {', '.join(shown)} FROM {_NAME} AS t({', '.join(quoted)})"  # noqa: S608 (quoted)
    return relation.query(_NAME, sql)


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
