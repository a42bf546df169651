"""What a table of a database is, and which of its rows are wanted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from catalog.connectors import TableRequest
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.database.settings import DatabaseTable, Deletes
from extracts.connectors.database.upstream import Upstream
from extracts.engine.parquet import WRITER

# Changed when the same rows would come out differently.
_READING = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a table is and what is wanted of it."""

    upstream: Upstream
    relation: Relation
    table: TableRequest
    now: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return self.relation.key(self.table.primary_key)

    @property
    def options(self) -> DatabaseTable:
        return cast("DatabaseTable", self.table.options)

    @property
    def cursor(self) -> SourceColumn | None:
        """Return the column that tells what is new; only incremental tables have one."""
        name = self.table.incremental_column
        return self.relation.column(name, role="incremental column") if name else None

    @property
    def tombstone(self) -> str:
        """Return the condition for deleted rows, empty where nothing marks them."""
        if self.options.deletes is not Deletes.TOMBSTONE:
            return ""
        column = self.relation.column(self.options.deleted_column, role="deleted column")
        return self.upstream.is_marked(column, self.options.deleted_values)

    @property
    def oldest(self) -> datetime | None:
        """Return since when rows are kept: the start of a day, so that a day's runs agree."""
        if self.table.max_history is None or self.cursor is None:
            return None
        day = self.now - self.table.max_history
        return day.replace(hour=0, minute=0, second=0, microsecond=0)

    def within_history(self) -> tuple[str, ...]:
        """Return the condition for rows that are young enough; those without a time are."""
        if self.oldest is None or self.cursor is None:
            return ()
        column = self.upstream.compared(self.cursor)
        moment = self.upstream.moment(self.cursor, self.oldest)
        return (f"{column} >= {moment} OR {column} IS NULL",)

    def settings_digest(self) -> str:
        """Return a hash of what, besides the rows, decides what comes out."""
        table = self.table
        facts = [
            _READING, WRITER, table.bucket, table.source_table, table.source_query, self.key,
            table.incremental_column, str(table.max_history),
            table.options.model_dump(mode="json"),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
