"""What the work adds to the catalog's pages, of all kinds."""

from __future__ import annotations

from extracts.admin import last_runs, rejected_rows, source_runs, table_data, table_runs


def register_all() -> None:
    """Tell the catalog's pages about runs, and what tables hold."""
    for each in (table_runs, table_data, rejected_rows, source_runs, last_runs):
        each.register()
