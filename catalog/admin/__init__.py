"""The catalog in the admin: sources, tables, folders, incidents."""

from catalog.admin.folder import FolderAdmin
from catalog.admin.incident import IncidentAdmin
from catalog.admin.source import SourceAdmin
from catalog.admin.table import TableAdmin
from catalog.admin.timing import register as _show_next_runs

_show_next_runs()

__all__ = ["FolderAdmin", "IncidentAdmin", "SourceAdmin", "TableAdmin"]
