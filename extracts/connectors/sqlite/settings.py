"""What can be set for a SQLite database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from catalog.connectors import Settings


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("give the whole path of the file, beginning with /")
    return path


class SqliteConfig(Settings):
    """One file of SQLite on the server."""

    path: Annotated[Path, AfterValidator(_absolute)] = Field(
        description="The database's file on the server; it is opened for reading only."
    )
    busy_timeout_seconds: int = Field(
        default=10,
        ge=0,
        le=600,
        description="How long to wait while somebody writes.",
        json_schema_extra={"more": True},
    )
