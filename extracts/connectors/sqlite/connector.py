"""Connector for SQLite: tables in full or by their changes, and queries of its own SQL."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

from agnes_site.core import human
from catalog.connectors import Attach, ColumnSpec, Health, Settings, TableRequest, TableSpec
from extracts.connectors.database.connector import DatabaseConnector
from extracts.connectors.database.errors import SourceUnreachableError
from extracts.connectors.database.relation import Relation
from extracts.connectors.reach.paths import allowed_path
from extracts.connectors.sqlite import catalog
from extracts.connectors.sqlite.connection import Sqlite, connected
from extracts.connectors.sqlite.settings import SqliteConfig


class SqliteConnector(DatabaseConnector[Sqlite]):
    """Tables, views and queries of one file of SQLite, read from one snapshot each run."""

    source_type = "sqlite"
    display_name = "SQLite"
    aliases = frozenset({"sqlite3"})
    config_schema = SqliteConfig

    def origin(self, config: Settings) -> Hashable:
        """Return the file."""
        return str(cast("SqliteConfig", config).path)

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Open the file and count its tables."""
        with self.asked(config, secrets) as upstream:
            tables = len(catalog.table_names(upstream))
        listed = human.plural(tables, "table or view", "tables and views")
        return Health(
            message=f"The database can be read; it has {listed}.",
            details={"tables": tables},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables and views."""
        with self.asked(config, secrets) as upstream:
            yield from catalog.offered(upstream)

    def check_query(
        self, config: Settings, secrets: Mapping[str, str], sql: str
    ) -> tuple[ColumnSpec, ...]:
        """Let SQLite prepare a query and try it on a few rows, and return its columns."""
        with self.asked(config, secrets) as upstream:
            relation = catalog.query_relation(upstream, sql, sample=1)
        return tuple(column.spec for column in relation.columns)

    def remote_attach(self, config: Settings, tables: Iterable[TableRequest]) -> Attach:
        """Say which file is attached."""
        return Attach(alias="sqlite", extension="sqlite", url=str(self._path(config)))

    def opened(
        self, config: Settings, secrets: Mapping[str, str], scratch: Path
    ) -> AbstractContextManager[Sqlite]:
        """Open the file and begin the transaction."""
        return connected(cast("SqliteConfig", config), self._path(config), scratch)

    def table_relation(
        self, upstream: Sqlite, table: TableRequest, as_text: tuple[str, ...]
    ) -> Relation:
        """Return a table or view of the file."""
        return catalog.table_relation(upstream, table.source_table, as_text=as_text)

    def query_relation(self, upstream: Sqlite, sql: str, as_text: tuple[str, ...]) -> Relation:
        """Return what a query gives."""
        return catalog.query_relation(upstream, sql, as_text=as_text)

    def _path(self, config: Settings) -> Path:
        path = allowed_path(cast("SqliteConfig", config).path, self.reach)
        if not path.is_file():
            raise SourceUnreachableError(
                f"There is no file {path}.", hint="Check the path of the database in the source."
            )
        return path
