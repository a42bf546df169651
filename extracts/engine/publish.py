"""The steps between a candidate and a version that need no database: one import for them all.

:func:`validate` reads a part completely, :func:`compare_schemas` judges its columns,
:func:`common_columns` compares the parts of a table, :func:`combine` rewrites several parts as one
file. :func:`take_part` and :func:`make_durable` put parts into the store.
"""

from __future__ import annotations

from extracts.engine.columns import schema_hash
from extracts.engine.combining import PartsDifferError, combine, common_columns
from extracts.engine.drift import Drift, Retyped, SchemaDriftError, compare_schemas
from extracts.engine.storing import make_durable, take_part
from extracts.engine.validation import DamagedFileError, ValidatedPart, validate

__all__ = [
    "DamagedFileError",
    "Drift",
    "PartsDifferError",
    "Retyped",
    "SchemaDriftError",
    "ValidatedPart",
    "combine",
    "common_columns",
    "compare_schemas",
    "make_durable",
    "schema_hash",
    "take_part",
    "validate",
]
