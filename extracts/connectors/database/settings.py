"""What can be set for a table of a database."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from catalog.connectors import Settings


class Deletes(StrEnum):
    """How an incremental table learns of rows that are gone."""

    IGNORE = "ignore"
    TOMBSTONE = "tombstone"
    COMPARE_KEYS = "compare_keys"


class DatabaseTable(Settings):
    """How the rows of one table are read."""

    as_text: tuple[str, ...] = Field(
        default=(),
        description="Columns to read as text, exactly as the database prints them.",
    )
    deletes: Deletes = Field(
        default=Deletes.IGNORE,
        description="Incremental: how rows that are gone are noticed. ignore: they stay until "
        "the next full run. tombstone: a column marks them. compare_keys: each run reads all "
        "primary keys and drops the rows whose key is gone.",
    )
    deleted_column: str = Field(
        default="",
        max_length=255,
        description="tombstone: the column that marks a row as deleted. Such rows are left out.",
    )
    deleted_values: tuple[str, ...] = Field(
        default=(),
        description="tombstone: the values that mean deleted, as text; without any, every value "
        "but null, false and 0.",
    )

    @model_validator(mode="after")
    def _needs_column(self) -> DatabaseTable:
        if (self.deletes is Deletes.TOMBSTONE) != bool(self.deleted_column):
            raise ValueError("deletes: tombstone and deleted_column belong together; give both")
        return self
