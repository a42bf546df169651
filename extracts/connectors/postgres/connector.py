"""Connector for PostgreSQL: tables in full or by their changes, and queries of its own SQL."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, cast

from agnes_site.core import human
from catalog.connectors import (
    Attach,
    ColumnSpec,
    Health,
    SecretField,
    Settings,
    TableRequest,
    TableSpec,
)
from extracts.connectors.database.connector import DatabaseConnector
from extracts.connectors.database.relation import Relation
from extracts.connectors.postgres import catalog
from extracts.connectors.postgres.connection import Postgres, connected, connection_string
from extracts.connectors.postgres.settings import PostgresConfig


class PostgresConnector(DatabaseConnector[Postgres]):
    """Tables, views and queries of one PostgreSQL database, read from one snapshot each run."""

    source_type = "postgres"
    display_name = "PostgreSQL"
    aliases = frozenset({"postgresql", "pg"})
    default_bucket = "public"
    config_schema = PostgresConfig
    secret_fields: ClassVar[Mapping[str, SecretField]] = {
        "password": SecretField(
            label="Password",
            description="Of the user; none where the server lets it in without.",
            is_required=False,
        )
    }

    def secret_places(self, config: Settings) -> frozenset[str]:
        """Return the server, and how its name is made sure of."""
        server = cast(PostgresConfig, config)
        trust = f"{server.sslmode} {server.ssl_root_certificate or ''}"
        return frozenset({f"{server.host}:{server.port} {trust}"})

    def origin(self, config: Settings) -> Hashable:
        """Return the database, and as whom it is read: rows may be hidden from others."""
        server = cast(PostgresConfig, config)
        return server.host, server.port, server.database, server.user

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Sign in and count the tables that can be read."""
        with self.asked(config, secrets) as upstream:
            version = upstream.values("SELECT current_setting('server_version') AS version")[0][0]
            tables = catalog.readable_tables(upstream)
        where = f" in {', '.join(upstream.config.schemas)}" if upstream.config.schemas else ""
        count = f"{human.plural(tables, 'table')}{where}"
        return Health(
            message=f"PostgreSQL {version} answers; {count} can be read.",
            details={"version": str(version), "tables": tables},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables, views and partitioned tables that can be read."""
        with self.asked(config, secrets) as upstream:
            yield from catalog.offered(upstream)

    def check_query(
        self, config: Settings, secrets: Mapping[str, str], sql: str
    ) -> tuple[ColumnSpec, ...]:
        """Let PostgreSQL plan a query without running it, and return its columns."""
        with self.asked(config, secrets) as upstream:
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

    def opened(
        self, config: Settings, secrets: Mapping[str, str], scratch: Path
    ) -> AbstractContextManager[Postgres]:
        """Sign in and begin the transaction."""
        return connected(cast("PostgresConfig", config), secrets, scratch)

    def table_relation(
        self, upstream: Postgres, table: TableRequest, as_text: tuple[str, ...]
    ) -> Relation:
        """Return a table of its schema."""
        return catalog.table_relation(
            upstream,
            schema=table.bucket or self.default_bucket,
            name=table.source_table,
            as_text=as_text,
        )

    def query_relation(self, upstream: Postgres, sql: str, as_text: tuple[str, ...]) -> Relation:
        """Return what a query gives, without running it."""
        return catalog.query_relation(upstream, sql, as_text=as_text)
