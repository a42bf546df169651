"""What data there is, and which bytes are served."""

from catalog.models.incident import Incident, IncidentKind
from catalog.models.source import Folder, Source, SourceSecret
from catalog.models.table import Column, Table, TableName, TableQuerySet
from catalog.models.version import TablePart, TableVersion

__all__ = [
    "Column",
    "Folder",
    "Incident",
    "IncidentKind",
    "Source",
    "SourceSecret",
    "Table",
    "TableName",
    "TablePart",
    "TableQuerySet",
    "TableVersion",
]
