"""What a connector is: its words, the contract, and which ones are installed.

Plain Python and pydantic, without Django: connectors run in child processes that never load it.

A third-party connector is an installed package with an entry point in the group
``agnes.connectors`` whose value is a :class:`Connector` subclass.
"""

from catalog.connectors.contract import (
    Attach,
    CandidatePart,
    ColumnSpec,
    Connector,
    CurrentPart,
    Estimate,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    PartChange,
    Reach,
    Rejected,
    SecretField,
    Settings,
    TableRequest,
    TableSpec,
    UnsupportedCapabilityError,
)
from catalog.connectors.registry import (
    ENTRY_POINT_GROUP,
    UnknownSourceTypeError,
    broken,
    forget,
    get,
    installed,
    is_foreign,
    register,
)
from catalog.connectors.third_party import ConnectorBrokenError
from catalog.connectors.vocabulary import (
    Capability,
    DriftPolicy,
    ExtractMode,
    QueryMode,
    SyncStrategy,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Attach",
    "CandidatePart",
    "Capability",
    "ColumnSpec",
    "Connector",
    "ConnectorBrokenError",
    "CurrentPart",
    "DriftPolicy",
    "Estimate",
    "ExtractMode",
    "ExtractRequest",
    "ExtractResult",
    "Health",
    "Output",
    "PartChange",
    "QueryMode",
    "Reach",
    "Rejected",
    "SecretField",
    "Settings",
    "SyncStrategy",
    "TableRequest",
    "TableSpec",
    "UnknownSourceTypeError",
    "UnsupportedCapabilityError",
    "broken",
    "forget",
    "get",
    "installed",
    "is_foreign",
    "register",
]
