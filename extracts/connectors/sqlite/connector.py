"""Connector for SQLite: tables in full or by their changes, and queries of its own SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, cast

import pyarrow as pa

from agnes_site.core import human
from catalog.connectors import (
    Attach,
    Capability,
    ColumnSpec,
    Connector,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    QueryMode,
    Settings,
    SyncStrategy,
    TableRequest,
    TableSpec,
)
from extracts.connectors.database.errors import SourceUnreachableError
from extracts.connectors.database.extracting import extract
from extracts.connectors.database.plan import Plan
from extracts.connectors.database.relation import Relation, typed
from extracts.connectors.database.settings import DatabaseTable
from extracts.connectors.reach.paths import allowed_path
from extracts.connectors.sqlite import catalog
from extracts.connectors.sqlite.connection import Sqlite, connected
from extracts.connectors.sqlite.settings import SqliteConfig


class SqliteConnector(Connector):
    """Tables, views and queries of one file of SQLite, read from one snapshot each run."""

    source_type = "sqlite"
    display_name = "SQLite"
    aliases = frozenset({"sqlite3"})
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
    config_schema = SqliteConfig
    table_schema = DatabaseTable

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Open the file and count its tables."""
        with self._connection(config) as upstream:
            tables = len(catalog.table_names(upstream))
        listed = human.plural(tables, "table or view", "tables and views")
        return Health(
            message=f"The database can be read; it has {listed}.",
            details={"tables": tables},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables and views."""
        with self._connection(config) as upstream:
            yield from catalog.offered(upstream)

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return some rows as they would be extracted."""
        with self._connection(config) as upstream:
            relation = _relation(upstream, table)
            return typed(upstream.rows(relation, limit=rows), relation).read_all()

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring a table in full, or merge what changed in it."""
        return self._bring(config, request, out)

    def run_sql(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Run the table's query in SQLite and bring all that it gives."""
        return self._bring(config, request, out)

    def check_query(
        self, config: Settings, secrets: Mapping[str, str], sql: str
    ) -> tuple[ColumnSpec, ...]:
        """Let SQLite prepare a query and try it on a few rows, and return its columns."""
        with self._connection(config) as upstream:
            relation = catalog.query_relation(upstream, sql, sample=1)
        return tuple(column.spec for column in relation.columns)

    def remote_attach(self, config: Settings, tables: Iterable[TableRequest]) -> Attach:
        """Say which file is attached."""
        return Attach(alias="sqlite", extension="sqlite", url=str(self._path(config)))

    def _bring(self, config: Settings, request: ExtractRequest, out: Output) -> ExtractResult:
        table, path = request.table, self._path(config)
        with connected(cast("SqliteConfig", config), path, out.scratch) as upstream:
            relation = _relation(upstream, table)
            plan = Plan(upstream=upstream, relation=relation, table=table, now=self._now())
            return extract(plan, request, out)

    def _path(self, config: Settings) -> Path:
        path = allowed_path(cast("SqliteConfig", config).path, self.reach)
        if not path.is_file():
            raise SourceUnreachableError(
                f"There is no file {path}.", hint="Check the path of the database in the source."
            )
        return path

    @contextmanager
    def _connection(self, config: Settings) -> Iterator[Sqlite]:
        path = self._path(config)
        with (
            tempfile.TemporaryDirectory() as scratch,
            connected(cast("SqliteConfig", config), path, Path(scratch)) as upstream,
        ):
            yield upstream


def _relation(upstream: Sqlite, table: TableRequest) -> Relation:
    as_text = cast("DatabaseTable", table.options).as_text
    if table.source_query:
        return catalog.query_relation(upstream, table.source_query, as_text=as_text)
    return catalog.table_relation(upstream, table.source_table, as_text=as_text)
