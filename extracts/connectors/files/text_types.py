"""The types of columns of text: guessed from a sample, then every value held to them.

DuckDB's own casts are generous: the text ``1.5`` becomes the whole number 2, a time with a zone
loses it. Values of guessed columns must therefore look like those that the guess was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from agnes_site.core.sql import quote_identifier
from extracts.connectors.files.notation import PLAIN, ZONED, Notation

# What a column is when its values look like these and nothing else. A column that mixes long
# whole numbers with fractions stays text, since a DOUBLE would change the long ones.
_MIXTURES = {
    frozenset({"LONG"}): "BIGINT",
    frozenset({"BIGINT", "LONG"}): "BIGINT",
    frozenset({"BIGINT", "DOUBLE"}): "DOUBLE",
    frozenset({"DATE", "TIMESTAMP"}): "TIMESTAMP",
}

# Every pattern of every column is compiled on its own, which takes memory.
_COLUMNS_AT_ONCE = 24
_ROWS_AT_ONCE = 2048
_SAMPLE_BYTES = 32 * 1024 * 1024
_TAKEN = "agnes_taken"

# Conditions that are cheaper than the patterns and refuse what a cast would change.
_FAITHFUL = {
    "BOOLEAN": "lower({v}) IN ('true', 'false')",
    "BIGINT": "TRY_CAST({v} AS BIGINT)::VARCHAR = {v}",
    "DOUBLE": "NOT contains({v}, '_')",
    "DATE": "length({v}) = 10",
    "TIME": "NOT contains({v}, '+') AND NOT contains({v}, '-')",
    "TIMESTAMP": "length({v}) <= 26 AND NOT contains({v}[11:], '+') "
    "AND NOT contains({v}[11:], '-') AND NOT ends_with({v}, 'Z')",
    ZONED: "length({v}) <= 33 AND "
    "(ends_with({v}, 'Z') OR contains({v}[20:], '+') OR contains({v}[20:], '-'))",
}


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """The type of a column; a ``given`` one is the user's word and cast as DuckDB does."""

    kind: str
    given: bool = False
    notation: Notation = PLAIN

    def cast(self, name: str) -> str:
        """Return SQL that turns the text of column ``name`` into a value, or fails."""
        value = quote_identifier(name)
        if self.kind == "VARCHAR":
            return value
        special = self.notation.parsed(self.kind, value)
        if special:
            wrong = f"CASE WHEN {value} IS NOT NULL THEN error('not a {self.kind}') END"
            return f"coalesce({special}, {wrong})"
        faithful = self._faithful(value)
        if not faithful:
            return f"CAST({value} AS {self.kind})"
        return (
            f"CASE WHEN {value} IS NULL THEN NULL WHEN {faithful} "
            f"THEN CAST({value} AS {self.kind}) ELSE error('not a {self.kind}') END"
        )

    def is_bad(self, name: str) -> str:
        """Return SQL that says whether :meth:`cast` fails on a value of column ``name``."""
        if self.kind == "VARCHAR":
            return "false"
        value = quote_identifier(name)
        special = self.notation.parsed(self.kind, value)
        parsed = special or f"TRY_CAST({value} AS {self.kind})"
        faithful = "" if special else self._faithful(value)
        good = f"({faithful or 'true'}) AND {parsed} IS NOT NULL"
        return f"({value} IS NOT NULL AND NOT coalesce({good}, false))"

    def _faithful(self, value: str) -> str:
        return "" if self.given else _FAITHFUL.get(self.kind, "").format(v=value)


def guess_types(
    connection: duckdb.DuckDBPyConnection,
    samples: Iterable[str],
    names: Sequence[str],
    *,
    rows: int,
    notation: Notation,
) -> dict[str, ColumnType]:
    """Return the type of each column in the first ``rows`` of ``samples``.

    These are queries whose columns are all text. They are read one after the other, so that many
    files need no more memory than one. A column without any value in them is text.
    """
    looks = dict.fromkeys(names, 0)
    spelled = {name.lower(): name for name in names}
    for sample in samples:
        taken = _taken(connection, sample, rows)
        for start in range(0, taken.num_columns, _COLUMNS_AT_ONCE):
            some = taken.column_names[start : start + _COLUMNS_AT_ONCE]
            asked = ", ".join(f"bit_or({_look(name, notation)})" for name in some)
            connection.register(_TAKEN, taken.select(some))
            row = connection.execute(f"SELECT {asked} FROM {_TAKEN}").fetchone()  # noqa: S608  quoted
            assert row is not None, "an aggregation gives one row"
            for name, found in zip(some, row, strict=True):
                looks[spelled[name.lower()]] |= found or 0
    return {
        name: ColumnType(kind=_kind(found, notation), notation=notation)
        for name, found in looks.items()
    }


def _taken(connection: duckdb.DuckDBPyConnection, sample: str, rows: int) -> pa.Table:
    """Return the rows of a sample, fewer of long ones: all columns of them are read once."""
    reader = connection.execute(sample).to_arrow_reader(_ROWS_AT_ONCE)
    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch)
        count = sum(each.num_rows for each in batches)
        if count >= rows or sum(each.nbytes for each in batches) > _SAMPLE_BYTES:
            break
    return pa.Table.from_batches(batches, reader.schema).slice(0, rows)


def _look(name: str, notation: Notation) -> str:
    """Return SQL for the look of one value, as one bit of a number; null has none."""
    value = quote_identifier(name)
    looks = notation.looks(value)
    cases = " ".join(f"WHEN {test} THEN {1 << number}" for number, (_, test) in enumerate(looks))
    return f"CASE WHEN {value} IS NULL THEN NULL {cases} ELSE {1 << len(looks)} END"


def _kind(bits: int, notation: Notation) -> str:
    looks = notation.looks("x")
    found = frozenset(look for n, (look, _) in enumerate(looks) if bits & 1 << n)
    if bits >= 1 << len(looks):
        return "VARCHAR"
    return guessed_kind(found)


def guessed_kind(looks: frozenset[str]) -> str:
    """Return the type of a column whose values have these looks and no others."""
    alone = next(iter(looks)) if len(looks) == 1 else "VARCHAR"
    return _MIXTURES.get(looks, alone)
