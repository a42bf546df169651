"""The catalog in the admin: sources, tables, folders, incidents."""

from catalog.admin.folder import FolderAdmin
from catalog.admin.incident import IncidentAdmin
from catalog.admin.source import SourceAdmin
from catalog.admin.table import TableAdmin

__all__ = ["FolderAdmin", "IncidentAdmin", "SourceAdmin", "TableAdmin"]
