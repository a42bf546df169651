"""What can be exported and imported; each kind changes its objects by their services."""

from __future__ import annotations

from collections.abc import Mapping

from catalog.services.exchange.kinds.base import Key, Kind, Values
from catalog.services.exchange.kinds.folders import Folders
from catalog.services.exchange.kinds.grants import Grants
from catalog.services.exchange.kinds.groups import Groups
from catalog.services.exchange.kinds.sources import Sources
from catalog.services.exchange.kinds.tables import Tables

# In the order in which things are added; they are removed the other way round.
KINDS: tuple[Kind, ...] = (Sources(), Folders(), Groups(), Tables(), Grants())
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}

__all__ = ["BY_NAME", "KINDS", "Key", "Kind", "Values"]
