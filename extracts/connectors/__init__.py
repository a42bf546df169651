"""The connectors that are part of Agnes. Importing this registers them; it loads none of them."""

from __future__ import annotations

from catalog.connectors import register

register("extracts.connectors.files.connector:FilesConnector")
register("extracts.connectors.external.connector:ExternalConnector")
register("extracts.connectors.postgres.connector:PostgresConnector")
register("extracts.connectors.sqlite.connector:SqliteConnector")
