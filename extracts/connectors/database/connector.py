"""What every connector of a database does in the same way, once it is connected."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast

import pyarrow as pa

from catalog.connectors import (
    Capability,
    Connector,
    ExtractRequest,
    ExtractResult,
    Output,
    QueryMode,
    Settings,
    SyncStrategy,
    TableRequest,
)
from extracts.connectors.database.extracting import extract
from extracts.connectors.database.plan import Plan
from extracts.connectors.database.relation import Relation, typed
from extracts.connectors.database.settings import DatabaseTable
from extracts.connectors.database.upstream import Upstream

Opened = TypeVar("Opened", bound=Upstream)


class DatabaseConnector(Connector, Generic[Opened]):
    """Tables, views and queries of a database, read from one snapshot each run."""

    query_modes = frozenset({QueryMode.LOCAL, QueryMode.MATERIALIZED, QueryMode.REMOTE})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.DISCOVER,
            Capability.PREVIEW,
            Capability.EXTRACT,
            Capability.RUN_SQL,
            Capability.CHECK_QUERY,
            Capability.REMOTE_ATTACH,
        }
    )
    sync_strategies = frozenset({SyncStrategy.FULL_REFRESH, SyncStrategy.INCREMENTAL})
    incremental_needs = ("primary_key", "incremental_column")
    table_schema = DatabaseTable

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    @abstractmethod
    def opened(
        self, config: Settings, secrets: Mapping[str, str], scratch: Path
    ) -> AbstractContextManager[Opened]:
        """Connect and begin the transaction; DuckDB spills into ``scratch``."""

    @abstractmethod
    def table_relation(
        self, upstream: Opened, table: TableRequest, as_text: tuple[str, ...]
    ) -> Relation:
        """Return the table or view of the database."""

    @abstractmethod
    def query_relation(self, upstream: Opened, sql: str, as_text: tuple[str, ...]) -> Relation:
        """Return what a query gives."""

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return some rows as they would be extracted, in the order of the table."""
        with self.asked(config, secrets) as upstream:
            relation = self._relation(upstream, table)
            return typed(upstream.rows(relation, limit=rows), relation).read_all()

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring a table in full, or merge what changed in it."""
        table = request.table
        with self.opened(config, secrets, out.scratch) as upstream:
            relation = self._relation(upstream, table)
            plan = Plan(upstream=upstream, relation=relation, table=table, now=self._now())
            return extract(plan, request, out)

    def run_sql(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Run the table's query in the database and bring all that it gives."""
        return self.extract(config, secrets, request, out)

    @contextmanager
    def asked(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[Opened]:
        """Connect for a question, which has no folder of a run."""
        with (
            tempfile.TemporaryDirectory() as scratch,
            self.opened(config, secrets, Path(scratch)) as upstream,
        ):
            yield upstream

    def _relation(self, upstream: Opened, table: TableRequest) -> Relation:
        as_text = cast("DatabaseTable", table.options).as_text
        if table.source_query:
            return self.query_relation(upstream, table.source_query, as_text)
        return self.table_relation(upstream, table, as_text)
