"""Who writes the extract folder of a source: we, or another producer."""

from __future__ import annotations

from catalog import connectors
from catalog.models import Source


def is_foreign(source: Source) -> bool:
    """Say whether somebody else writes the extract folder, so that it is read and never written.

    Where the package of the connector is gone, nobody says so any more: then a folder that we
    have never written to stays as it is.
    """
    connector = connectors.installed().get(source.source_type)
    return not source.extract_hashes if connector is None else connector.is_foreign
