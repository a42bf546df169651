"""What changed in the columns of a table, and whether its policy accepts that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agnes_site.core.errors import ConflictError
from catalog.connectors import ColumnSpec, DriftPolicy


class SchemaDriftError(ConflictError):
    """The columns of a candidate differ from the served ones in a way its policy refuses."""

    code = "schema_drift"


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column whose type changed."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How the columns of a candidate differ from those of the served version."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[Retyped, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.retyped)

    def __str__(self) -> str:
        """Say what changed in one line, for people."""
        parts = []
        if self.added:
            parts.append("added " + ", ".join(self.added))
        if self.removed:
            parts.append("removed " + ", ".join(self.removed))
        if self.retyped:
            changes = (f"{each.name} from {each.before} to {each.after}" for each in self.retyped)
            parts.append("changed " + ", ".join(changes))
        return "; ".join(parts)


def compare_schemas(
    known: Iterable[ColumnSpec], found: Iterable[ColumnSpec], *, policy: DriftPolicy
) -> Drift:
    """Return what changed from ``known`` to ``found``; without known columns, nothing did.

    ``evolve`` accepts every change. ``freeze`` protects the known columns: it refuses that one
    is removed or retyped, and lets new ones in, reported but never dropped. ``fail`` refuses
    any change. Names are compared without case; order does not matter.

    Raises:
        SchemaDriftError: ``policy`` refuses the change.
    """
    before = {column.name.lower(): column for column in known}
    after = {column.name.lower(): column for column in found}
    if not before:
        return Drift()
    drift = Drift(
        added=tuple(column.name for key, column in after.items() if key not in before),
        removed=tuple(column.name for key, column in before.items() if key not in after),
        retyped=tuple(
            Retyped(name=column.name, before=before[key].type, after=column.type)
            for key, column in after.items()
            if key in before and before[key].type != column.type
        ),
    )
    if policy is DriftPolicy.FREEZE and (drift.removed or drift.retyped):
        raise _refused(
            drift, "Restore the columns at the source, or set the drift policy to 'evolve'."
        )
    if policy is DriftPolicy.FAIL and drift:
        raise _refused(
            drift, "Undo the change at the source, or set the drift policy to 'evolve' or 'freeze'."
        )
    return drift


def _refused(drift: Drift, hint: str) -> SchemaDriftError:
    return SchemaDriftError(
        f"The columns changed at the source: {drift}.",
        hint=hint,
        added=list(drift.added),
        removed=list(drift.removed),
        retyped=[each.name for each in drift.retyped],
    )
