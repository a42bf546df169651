"""Rows of typed cells on their way to a table: columns found, types decided, batches cast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from catalog.connectors import ColumnSpec
from extracts.connectors.files.cells import Looks, text_of
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.fixed_types import fixed_types
from extracts.connectors.files.names import usable
from extracts.connectors.files.notation import Notation
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.sifting import Sifter, TextBatch, without
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.text_types import ColumnType
from extracts.engine.columns import MAX_COLUMNS
from extracts.engine.session import batch_rows

_BATCH_LETTERS = 2_000_000


class CellRow(NamedTuple):
    """One row: the file, its number there, a value for each key that it has, and its length."""

    file: str
    number: int
    values: Mapping[str, Any]
    size: int = 0


class CellRows:
    """The rows of one table whose values have types of their own.

    ``read`` gives all rows from the beginning each time it is called; those that cannot be used
    go to ``rejects``. A table has the ``declared`` columns whatever its rows have; without any,
    it keeps those that are ``known``.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[CellRow]],
        *,
        connection: duckdb.DuckDBPyConnection,
        options: FilesTable,
        known: Sequence[ColumnSpec],
        rejects: Rejects,
        look_at: int | None,
        declared: Sequence[str] = (),
    ) -> None:
        """Look at all rows, or at the first ``look_at``, to find columns and types.

        Raises:
            FileUnusableError: there are no columns, or too many.
            TableSettingsError: the settings name a column or a type that does not exist.
        """
        self._read = read
        self._connection = connection
        self._options = options
        self._rejects = rejects
        looks, file = _seen(islice(read(), look_at), declared)
        kept = [] if declared else [column.name for column in known]
        self._keys, self.note = _columns(looks.names, kept, file=file)
        notation = Notation.of_cells(options)
        fixed = fixed_types(list(self._keys), options=options, known=known, notation=notation)
        self._types = {
            name: fixed.get(name)
            or ColumnType(kind="VARCHAR" if key is None else looks.kind(key), notation=notation)
            for name, key in self._keys.items()
        }

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""
        return tuple(ColumnSpec(name=name, type=each.kind) for name, each in self._types.items())

    def rows(self) -> pa.RecordBatchReader:
        """Return all rows from the beginning."""
        self._rejects.restart()
        sifter = Sifter(self._connection, self._types, self._rejects)
        found = (sifter.typed(batch) for batch in self._batches())
        batches = (batch for table in found for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(sifter.schema, batches)

    def _batches(self) -> Iterator[TextBatch]:
        rows = self._read()
        size = batch_rows(len(self._types))
        while some := _taken(rows, size):
            start = 0
            for place in range(1, len(some) + 1):
                if place == len(some) or some[place].file != some[start].file:
                    yield self._batch(some[start:place])
                    start = place

    def _batch(self, rows: Sequence[CellRow]) -> TextBatch:
        kinds = [(key, self._types[name].kind) for name, key in self._keys.items()]
        texts = [_texts(rows, key, kind) for key, kind in kinds]
        try:
            columns = [pa.array(column, pa.string()) for column in texts]
        except UnicodeEncodeError:
            good = [row for row in rows if self._can_be_written(row)]
            return self._batch(good)
        nulls = self._options.null_strings
        return TextBatch(
            file=rows[0].file if rows else "",
            numbers=[row.number for row in rows],
            columns=[without(column, nulls) if nulls else column for column in columns],
        )

    def _can_be_written(self, row: CellRow) -> bool:
        for name, key in self._keys.items():
            if key is None:
                continue
            text = text_of(row.values.get(key), kind="JSON") or ""
            try:
                text.encode()
            except UnicodeEncodeError:
                self._rejects.add(
                    file=row.file,
                    row=row.number,
                    column=name,
                    reason="the text holds half of a letter",
                    text=text,
                )
                return False
        return True


def _texts(rows: Sequence[CellRow], key: str | None, kind: str) -> list[str | None]:
    if key is None:
        return [None] * len(rows)
    return [text_of(row.values.get(key), kind=kind) for row in rows]


def _taken(rows: Iterator[CellRow], count: int) -> list[CellRow]:
    """Take the next rows, fewer of large ones."""
    taken: list[CellRow] = []
    size = 0
    for row in islice(rows, count):
        taken.append(row)
        size += row.size
        if size > _BATCH_LETTERS:
            break
    return taken


def _seen(rows: Iterator[CellRow], declared: Sequence[str]) -> tuple[Looks, str]:
    looks, file = Looks(), ""
    looks.see(dict.fromkeys(declared))
    for row in rows:
        file = file or row.file
        looks.see(row.values)
        if len(looks) > MAX_COLUMNS:
            usable(looks.names, file=row.file)
    return looks, file


def _columns(
    found: Sequence[str], kept: Sequence[str], *, file: str
) -> tuple[dict[str, str | None], str]:
    """Return the key of each column, ``None`` where no row has it, and a note about names.

    The columns that are ``kept`` come first, so that the order does not follow the rows.

    Raises:
        FileUnusableError: there are no columns, or too many.
    """
    if not found and not kept:
        raise FileUnusableError("There are no rows, and nothing else says what columns are.")
    place = {key.lower(): number for number, key in reversed(list(enumerate(found)))}
    # Of keys that differ in case only, the one that is spelled as a column was that column.
    ordered = sorted(found, key=lambda key: (place[key.lower()], key not in kept))
    names = usable(ordered, file=file)
    key_of = dict(zip(names.names, ordered, strict=True))
    spelled = {name.lower(): name for name in key_of}
    columns: dict[str, str | None] = {
        name: key_of.pop(spelled.get(name.lower(), name), None) for name in kept
    }
    columns |= key_of
    usable(list(columns), file=file)
    return columns, names.note
