"""What a connector of a database has to say so that tables can be read and kept up to date."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from agnes_site.core.errors import AgnesError
from agnes_site.core.sql import quote_identifier
from extracts.connectors.database.errors import ValueUnreadableError
from extracts.connectors.database.relation import Relation, SourceColumn, duckdb_select
from extracts.engine.session import batch_rows


class Upstream(ABC):
    """One open connection, on which everything is read from one snapshot."""

    connection: duckdb.DuckDBPyConnection

    @abstractmethod
    def run(self, sql: str) -> str:
        """Return what stands behind FROM in DuckDB for the result of a query of the database."""

    @abstractmethod
    def explain(self, error: Exception, relation: Relation | None = None) -> AgnesError:
        """Say what a failure means; ``relation`` is what was being read."""

    def ordered(self, column: SourceColumn) -> str:
        """Return SQL to sort rows by a column, nulls last."""
        return quote_identifier(column.name)

    @abstractmethod
    def compared(self, column: SourceColumn) -> str:
        """Return SQL for a cursor as it is compared.

        Raises:
            CursorTypeError: the column has a type without an order to go by.
        """

    @abstractmethod
    def literal(self, column: SourceColumn, value: str, *, back: timedelta = timedelta(0)) -> str:
        """Return SQL for the value of a cursor, moved back by some time where it is a time."""

    @abstractmethod
    def moment(self, column: SourceColumn, at: datetime) -> str:
        """Return SQL for a moment (UTC) to compare a column with.

        Raises:
            CursorTypeError: the column does not hold times.
        """

    @abstractmethod
    def newest(self, relation: Relation, column: SourceColumn) -> str | None:
        """Return the largest value of a cursor that is not in the future, as text."""

    @abstractmethod
    def is_marked(self, column: SourceColumn, values: Sequence[str]) -> str:
        """Return a condition, never null, for rows that a tombstone marks as deleted."""

    def rows(
        self,
        relation: Relation,
        *,
        where: Sequence[str] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """Return the rows for which all conditions hold; UUIDs are bytes and JSON is text."""
        query = duckdb_select(relation, self.run(select(relation, where, order, limit)))
        size = batch_rows(len(relation.columns))
        with self.explained(relation):
            reader = self.connection.execute(query).to_arrow_reader(size)
        return pa.RecordBatchReader.from_batches(reader.schema, self._explained(reader, relation))

    def values(self, sql: str) -> list[tuple[object, ...]]:
        """Return the result of a small query."""
        with self.explained():
            query = f"SELECT * FROM {self.run(sql)}"  # noqa: S608  built by connectors
            return self.connection.execute(query).fetchall()

    @contextmanager
    def explained(self, relation: Relation | None = None) -> Iterator[None]:
        """Turn failures of DuckDB into errors that say what to do.

        Raises:
            AgnesError: as :meth:`explain` says.
        """
        failure = None
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            failure = error
        if failure is not None:
            # Outside of the handler: what DuckDB says may hold more than anybody should see.
            raise self.explain(failure, relation)

    def _explained(
        self, reader: pa.RecordBatchReader, relation: Relation
    ) -> Iterator[pa.RecordBatch]:
        with self.explained(relation):
            for batch in reader:
                _refuse_broken_texts(batch, relation)
                yield batch


def _refuse_broken_texts(batch: pa.RecordBatch, relation: Relation) -> None:
    """Refuse bytes that are no UTF-8: some databases let them into their texts."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise ValueUnreadableError(
                    f"Column {name} of {relation.label} holds a text that is not UTF-8.",
                    hint="Mend the text at its source, or convert the column to bytes there.",
                    column=name,
                ) from error


def select(
    relation: Relation, where: Sequence[str], order: Sequence[str], limit: int | None
) -> str:
    """Return the database's own query for some rows of a relation."""
    items = ", ".join(
        f"{column.expression} AS {quote_identifier(column.name)}" for column in relation.columns
    )
    parts = [f"SELECT {items} FROM {relation.origin}"]  # noqa: S608  quoted
    if where:
        parts.append("WHERE " + " AND ".join(f"({condition})" for condition in where))
    if order:
        parts.append("ORDER BY " + ", ".join(order))
    if limit is not None:
        parts.append(f"LIMIT {limit:d}")
    return " ".join(parts)
