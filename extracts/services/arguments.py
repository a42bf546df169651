"""What every child process is told of the source it works for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings

from agnes_site.core.config import Config
from agnes_site.core.storage import Layout
from catalog.models import Source, Table


def source_arguments(source: Source) -> dict[str, Any]:
    """Return type and settings of a source, and what it may reach on this installation."""
    return {
        "source_type": source.source_type,
        "config": source.config,
        "reach": reach_arguments(),
    }


def table_arguments(table: Table) -> dict[str, Any]:
    """Return a table as a child process is told of it."""
    return {
        "name": table.name,
        "bucket": table.bucket,
        "source_table": table.source_table,
        "source_query": table.source_query,
        "primary_key": table.primary_key,
        "incremental_column": table.incremental_column,
        "incremental_window_days": table.incremental_window_days,
        "max_history_days": table.max_history_days,
        "options": table.options,
        "known_columns": table.current_version.schema if table.current_version else [],
    }


def reach_arguments() -> dict[str, Any]:
    """Return what sources may reach, as :class:`catalog.connectors.Reach` takes it."""
    config: Config = settings.CONFIG
    layout: Layout = settings.LAYOUT
    roots = [root for root in config.readable_roots if not _is_own(layout, root.resolve())]
    return {
        "roots": [str(root) for root in roots],
        "private": [str(folder) for folder in (layout.root, *layout.own)],
        "hosts": list(config.files_hosts),
    }


def _is_own(layout: Layout, root: Path) -> bool:
    return any(root.is_relative_to(folder.resolve()) for folder in layout.own)
