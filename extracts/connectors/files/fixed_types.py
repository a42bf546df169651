"""The types of columns that need no guess: those of the settings, and those of the last version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from catalog.connectors import ColumnSpec
from extracts.connectors.files.errors import TableSettingsError
from extracts.connectors.files.notation import Notation
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.text_types import ColumnType


def spelled_once(names: Iterable[str]) -> list[str]:
    """Return names as they are spelled first; case does not count."""
    spelled: dict[str, str] = {}
    for name in names:
        spelled.setdefault(name.lower(), name)
    return list(spelled.values())


def fixed_types(
    names: Sequence[str],
    *,
    options: FilesTable,
    known: Sequence[ColumnSpec],
    notation: Notation,
) -> dict[str, ColumnType]:
    """Return the types of those of ``names`` whose types are given or known.

    Raises:
        TableSettingsError: the settings name a column or a type that does not exist.
    """
    spelled = {name.lower(): name for name in names}
    fixed = {
        spelled[column.name.lower()]: ColumnType(
            kind=str(duckdb.sqltype(column.type)), notation=notation
        )
        for column in known
        if column.name.lower() in spelled
    }
    for name, text in options.types.items():
        if name.lower() not in spelled:
            raise TableSettingsError(
                f"The settings give a type to {name!r}; there is no such column.",
                hint="Correct `types` in the settings of the table.",
                column=name,
            )
        kind = _type(name, text)
        fixed[spelled[name.lower()]] = ColumnType(kind=kind, given=True, notation=notation)
    return fixed


def _type(name: str, text: str) -> str:
    try:
        return str(duckdb.sqltype(text))
    except duckdb.Error as error:
        raise TableSettingsError(
            f"The settings give column {name!r} the type {text!r}, which does not exist.",
            hint="Correct `types` in the settings of the table; BIGINT, DOUBLE, VARCHAR, DATE and "
            "TIMESTAMP are usual ones.",
            column=name,
        ) from error
