"""Connector for PostgreSQL: tables in full or by their changes, and queries of its own SQL."""

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
    SecretField,
    Settings,
    SyncStrategy,
    TableRequest,
    TableSpec,
)
from extracts.connectors.database.extracting import extract
from extracts.connectors.database.plan import Plan
from extracts.connectors.database.relation import Relation, typed
from extracts.connectors.database.settings import DatabaseTable
from extracts.connectors.postgres import catalog
from extracts.connectors.postgres.connection import Postgres, connected, connection_string
from extracts.connectors.postgres.settings import PostgresConfig


class PostgresConnector(Connector):
    """Tables, views and queries of one PostgreSQL database, read from one snapshot each run."""

    source_type = "postgres"
    display_name = "PostgreSQL"
    aliases = frozenset({"postgresql", "pg"})
    default_bucket = "public"
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
    config_schema = PostgresConfig
    table_schema = DatabaseTable
    secret_fields: ClassVar[Mapping[str, SecretField]] = {
        "password": SecretField(
            label="Password",
            description="Of the user; none where the server lets it in without.",
            is_required=False,
        )
    }

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def secret_places(self, config: Settings) -> frozenset[str]:
        """Return the server, and how its name is made sure of."""
        server = cast(PostgresConfig, config)
        trust = f"{server.sslmode} {server.ssl_root_certificate or ''}"
        return frozenset({f"{server.host}:{server.port} {trust}"})

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Sign in and count the tables that can be read."""
        with _connection(config, secrets) as upstream:
            version = upstream.values("SELECT current_setting('server_version') AS version")[0][0]
            tables = catalog.readable_tables(upstream)
        return Health(
            message=f"PostgreSQL {version} answers; {human.plural(tables, 'table')} can be read.",
            details={"version": str(version), "tables": tables},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables, views and partitioned tables that can be read."""
        with _connection(config, secrets) as upstream:
            yield from catalog.offered(upstream)

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return some rows as they would be extracted, in the order of the table."""
        with _connection(config, secrets) as upstream:
            relation = _relation(upstream, table)
            return typed(upstream.rows(relation, limit=rows), relation).read_all()

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring a table in full, or merge what changed in it."""
        return self._bring(config, secrets, request, out)

    def run_sql(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Run the table's query in PostgreSQL and bring all that it gives."""
        return self._bring(config, secrets, request, out)

    def check_query(
        self, config: Settings, secrets: Mapping[str, str], sql: str
    ) -> tuple[ColumnSpec, ...]:
        """Let PostgreSQL plan a query without running it, and return its columns."""
        with _connection(config, secrets) as upstream:
            relation = catalog.query_relation(upstream, sql)
        return tuple(column.spec for column in relation.columns)

    def remote_attach(self, config: Settings, tables: Iterable[TableRequest]) -> Attach:
        """Say how the database is attached; its password is asked for by name."""
        settings = cast("PostgresConfig", config)
        return Attach(
            alias="pg",
            extension="postgres",
            url=connection_string(settings, is_whole=True),
            token_name="password",
        )

    def _bring(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        table = request.table
        with connected(cast("PostgresConfig", config), secrets, out.scratch) as upstream:
            relation = _relation(upstream, table)
            plan = Plan(upstream=upstream, relation=relation, table=table, now=self._now())
            return extract(plan, request, out)


@contextmanager
def _connection(config: Settings, secrets: Mapping[str, str]) -> Iterator[Postgres]:
    with (
        tempfile.TemporaryDirectory() as scratch,
        connected(cast("PostgresConfig", config), secrets, Path(scratch)) as upstream,
    ):
        yield upstream


def _relation(upstream: Postgres, table: TableRequest) -> Relation:
    """Return what a table is made of: its query, or the table of the database."""
    as_text = cast("DatabaseTable", table.options).as_text
    if table.source_query:
        return catalog.query_relation(upstream, table.source_query, as_text=as_text)
    schema = table.bucket or PostgresConnector.default_bucket
    return catalog.table_relation(upstream, schema=schema, name=table.source_table, as_text=as_text)
