"""A look into what a table serves: its first rows, and what is known of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache

from agnes_site.core.progress import silent
from catalog.models import Table, TableVersion
from catalog.services.files import StoredFileMissingError, layout
from extracts.engine import process
from extracts.services import probing
from extracts.services.arguments import table_arguments
from extracts.services.probing import Upstream

ROWS, COLUMNS, LONGEST = 50, 100, 200
_PATIENCE_SECONDS = 20
_KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The first rows of a table; each value is a short text, or ``None``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    total_columns: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How many values of a column are missing, and the bounds of the others, where known."""

    nulls: int | None
    low: str | None
    high: str | None


def first_rows(version: TableVersion) -> Preview:
    """Return the first rows of a version.

    Raises:
        StoredFileMissingError: a file of it is not in the store.
        AgnesError: it could not be read; the message says why.
    """
    arguments = {"rows": ROWS, "columns": COLUMNS, "longest": LONGEST}
    return Preview(**_ask("first_rows", version, **arguments))


def first_remote_rows(table: Table) -> Preview:
    """Return the first rows of a remote table, as its source has them now.

    Raises:
        AgnesError: the source could not be read; the message says why.
    """
    found = probing.preview(Upstream.of(table.source), table_arguments(table), rows=ROWS)
    names = [column["name"] for column in found["columns"]]
    total = len(names) + found["hidden_columns"]
    return Preview(columns=names, rows=found["rows"], total_columns=total)


def figures(table: Table) -> dict[str, Figures]:
    """Return what is known of the columns that are served, by their names.

    Raises:
        As :func:`first_rows`.
    """
    version = table.current_version
    if version is None or not version.rows:
        return {}
    key = f"figures:{version.pk}"
    found = cache.get(key)
    if found is None:
        found = _ask("figures", version)["columns"]
        cache.set(key, found, _KEPT_SECONDS)
    return {name: Figures(**each) for name, each in found.items()}


def _ask(name: str, version: TableVersion, **arguments: Any) -> Any:
    return process.run(
        process.Job(
            function=f"extracts.engine.looking:{name}",
            arguments={"paths": _paths(version), **arguments},
            memory_bytes=settings.CONFIG.run_memory_bytes,
            timeout_seconds=_PATIENCE_SECONDS,
        ),
        progress=silent,
    )


def _paths(version: TableVersion) -> list[str]:
    paths = [layout().stored(sha256) for sha256 in version.parts.values_list("sha256", flat=True)]
    for path in paths:
        if not path.is_file():
            raise StoredFileMissingError("A file of this version is not in the store.")
    return [str(path) for path in paths]
