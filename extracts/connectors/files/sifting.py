"""Turn batches of text into typed rows, and tell the rows that do not fit from the others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from agnes_site.core.sql import quote_identifier
from extracts.connectors.files.rejects import TEXT_LIMIT, Rejects
from extracts.connectors.files.session import is_about_data
from extracts.connectors.files.text_types import ColumnType
from extracts.engine.kernels import pc

_TEXT = "agnes_text"
_ROWS_AT_ONCE = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class TextBatch:
    """Some rows of one file: a column of text for each of the table, and the rows' numbers."""

    file: str
    numbers: Sequence[int]
    columns: Sequence[pa.Array[Any]]


class Sifter:
    """Casts text to the types of a table's columns."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        types: Mapping[str, ColumnType],
        rejects: Rejects,
    ) -> None:
        self._connection = connection.cursor()
        self._connection.execute("SET TimeZone = 'UTC'")
        self._types = types
        self._rejects = rejects
        self._places = [f"c{place}" for place in range(len(types))]
        casts = zip(self._places, types.items(), strict=True)
        self._cast = ", ".join(
            f"{kind.cast(place)} AS {quote_identifier(name)}" for place, (name, kind) in casts
        )
        empty = [pa.array([], pa.string())] * len(types)
        self.schema: pa.Schema = self._typed(self._table(empty)).schema

    def typed(self, batch: TextBatch) -> pa.Table:
        """Return the rows of a batch that fit; the others go to where bad rows go.

        Raises:
            RowError, TooManyBadRowsError: as the settings of the table say.
        """
        rows = self._table(batch.columns)
        try:
            return self._typed(rows)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if not is_about_data(error):
                raise
        bad = self._bad(rows)
        for row, place in bad:
            self._reject(batch, rows, row, place)
        bad_rows = {row for row, _ in bad}
        is_good = pa.array([row not in bad_rows for row in range(rows.num_rows)], pa.bool_())
        return self._typed(rows.filter(is_good))

    def _table(self, columns: Sequence[pa.Array[Any]]) -> pa.Table:
        return pa.table(dict(zip(self._places, columns, strict=True)))

    def _typed(self, rows: pa.Table) -> pa.Table:
        self._connection.register(_TEXT, rows)
        query = f"SELECT {self._cast} FROM {_TEXT}"  # noqa: S608  quoted
        # DuckDB keeps memory of each result that it hands over as a table, none of a stream.
        typed = self._connection.execute(query).to_arrow_reader(_ROWS_AT_ONCE).read_all()
        return self._as_json(typed)

    def _as_json(self, rows: pa.Table) -> pa.Table:
        """Say which columns of text are JSON: DuckDB hands them over as text."""
        for place, (name, kind) in enumerate(self._types.items()):
            if kind.kind == "JSON":
                text = rows.column(place).combine_chunks()
                column = pa.ExtensionArray.from_storage(pa.json_(pa.string()), text)
                rows = rows.set_column(place, name, column)
        return rows

    def _bad(self, rows: pa.Table) -> list[tuple[int, int]]:
        """Return each bad row and its first bad column."""
        found: dict[int, int] = {}
        numbered = rows.append_column("n", pa.array(range(rows.num_rows), pa.int64()))
        self._connection.register(_TEXT, numbered)
        for place, kind in enumerate(self._types.values()):
            if kind.kind != "VARCHAR":
                query = f"SELECT n FROM {_TEXT} WHERE {kind.is_bad(f'c{place}')}"  # noqa: S608  quoted
                for (row,) in self._connection.execute(query).fetchall():
                    found.setdefault(row, place)
        return sorted(found.items())

    def _reject(self, batch: TextBatch, rows: pa.Table, row: int, place: int) -> None:
        name, kind = list(self._types.items())[place]
        self._rejects.add(
            file=batch.file,
            row=batch.numbers[row],
            column=name,
            reason=f"the value is not a {kind.kind}",
            text=_as_csv(rows.slice(row, 1).to_pylist()[0].values()),
            hint="Correct the file, or set the type of the column in the settings of the table: "
            f'types = {{"{name}": "VARCHAR"}}. If the value stands for none, add it to '
            "null_strings.",
        )


def _as_csv(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(
        "" if value is None else value[:TEXT_LIMIT] for value in values
    )
    return text.getvalue()


def without(column: pa.Array[Any], null_strings: Sequence[str]) -> pa.Array[Any]:
    """Return a column of text in which the texts that mean no value are null."""
    is_null = pc.is_in(column, pa.array(null_strings, pa.string()))
    kept: pa.Array[Any] = pc.if_else(is_null, pa.scalar(None, pa.string()), column)
    return kept
