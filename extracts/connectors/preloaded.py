"""Loads every connector: imported once, by the process from which the children of runs are forked.

A child that had to import them itself would take longer for that than for a small table.
"""

from __future__ import annotations

import extracts.connectors.work  # noqa: F401  (it registers the connectors, and does all else)
from catalog import connectors

connectors.installed()
