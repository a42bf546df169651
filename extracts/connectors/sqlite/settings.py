"""What can be set for a SQLite database."""

from __future__ import annotations

from pydantic import Field

from catalog.connectors import Settings
from extracts.connectors.reach.paths import AbsolutePath


class SqliteConfig(Settings):
    """One file of SQLite on the server."""

    path: AbsolutePath = Field(
        description="The database's file on the server; it is opened for reading only."
    )
    busy_timeout_seconds: int = Field(
        default=10,
        ge=0,
        le=600,
        description="How long to wait while somebody writes.",
        json_schema_extra={"more": True},
    )
