"""What an extract folder holds: its names, its tables and their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from agnes_site.core.slugs import is_slug
from catalog.connectors import QueryMode
from extracts.engine.remote_views import RemoteView

EXTRACT_NAME = "extract.duckdb"
META = "_meta"
REMOTE_ATTACH = "_remote_attach"
# What a table cannot be called, since the contract uses these names itself.
RESERVED = frozenset([META, REMOTE_ATTACH])

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_KEY = 100


class DataFile(NamedTuple):
    """One file of a table: its name below ``data/`` and the stored file it is a link to."""

    name: str
    stored_at: Path


@dataclass(frozen=True, kw_only=True)
class ExtractTable:
    """A table as our own extract shows it; ``extracted_at`` is an aware time.

    A table of one file has it as ``<name>.parquet``, a table of several has them in a folder of
    its name: see :func:`data_file_name`. A remote table has none, but a ``remote`` view once its
    columns are known.
    """

    name: str
    rows: int
    size_bytes: int
    extracted_at: datetime
    query_mode: QueryMode = QueryMode.LOCAL
    description: str = ""
    files: tuple[DataFile | tuple[str, Path], ...] = ()
    remote: RemoteView | None = None

    def __post_init__(self) -> None:
        """Refuse a name or a file name that would reach outside of the table's own place."""
        if not is_slug(self.name):
            raise ValueError(f"{self.name!r} cannot be the name of a table.")
        for file_name, _ in self.files:
            if not self._owns(file_name):
                raise ValueError(f"{file_name!r} cannot be a file of table {self.name!r}.")

    def _owns(self, file_name: str) -> bool:
        if file_name == f"{self.name}.parquet":
            return True
        folder, _, name = file_name.partition("/")
        return folder == self.name and name.endswith(".parquet") and not _UNSAFE.search(name)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A table that could not be shown, and why."""

    table: str
    reason: str


def data_file_name(*, table: str, ordinal: int = 0, key: str = "", alone: bool = True) -> str:
    """Return the name below ``data/`` of one file of ``table``: ``alone`` or one of several."""
    if alone:
        return f"{table}.parquet"
    ending = f"-{_UNSAFE.sub('_', key)[:_LONGEST_KEY]}" if key else ""
    return f"{table}/{ordinal}{ending}.parquet"
