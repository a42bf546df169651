"""What differs between two versions of a table: its columns, its rows, its bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.models import TableVersion

Schema = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """Columns that came, went and changed their type, each as a person would say it."""

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the step from one version to another one changes."""

    rows: int
    bytes: int
    columns: SchemaChange


def compare_schemas(old: Schema, new: Schema) -> SchemaChange:
    """Return what the columns ``new`` differ in from ``old``."""
    before = {column["name"]: column for column in old}
    after = {column["name"]: column for column in new}
    return SchemaChange(
        added=[f"{name} {after[name]['type']}" for name in after if name not in before],
        removed=[name for name in before if name not in after],
        changed=[
            f"{name}: {_kind(before[name])} → {_kind(after[name])}"
            for name in after
            if name in before and _kind(before[name]) != _kind(after[name])
        ],
    )


def between(old: TableVersion, new: TableVersion) -> Difference:
    """Return what changes from one version to the other."""
    is_same = old.schema_hash == new.schema_hash
    return Difference(
        rows=new.rows - old.rows,
        bytes=new.bytes - old.bytes,
        columns=SchemaChange() if is_same else compare_schemas(old.schema, new.schema),
    )


def _kind(column: Mapping[str, Any]) -> str:
    return f"{column['type']}{'' if column['nullable'] else ' never empty'}"
