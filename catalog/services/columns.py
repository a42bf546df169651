"""Columns of tables: what was found, and what people wrote about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from catalog.connectors import ColumnSpec
from catalog.models import Column, Table
from catalog.models.table import DescriptionSource

_FOUND = ("ordinal", "type", "nullable", "description", "description_source")


def describe(found: Iterable[tuple[Table, Sequence[ColumnSpec]]]) -> None:
    """Say which columns tables have; what people wrote about one that stays is kept."""
    wanted = {table.pk: (table, specs) for table, specs in found}
    known: dict[UUID, dict[str, Column]] = defaultdict(dict)
    for each in Column.objects.filter(table__in=wanted):
        known[each.table_id][each.name] = each
    moved, gone = [], []
    for pk, (table, specs) in wanted.items():
        before = known[pk]
        for ordinal, spec in enumerate(specs):
            column: Column | None = before.pop(spec.name, None)
            if column is None or _differs(column, spec, ordinal):
                moved.append(_set(column or Column(table=table, name=spec.name), spec, ordinal))
        gone += [column.pk for column in before.values()]
    if moved:
        Column.objects.bulk_create(
            moved, update_conflicts=True, unique_fields=["id"], update_fields=_FOUND,
            batch_size=100,
        )  # fmt: skip
    if gone:
        Column.objects.filter(pk__in=gone).delete()


def _differs(column: Column, spec: ColumnSpec, ordinal: int) -> bool:
    return (column.ordinal, column.type, column.nullable) != (
        ordinal, spec.type, spec.nullable,
    ) or (_tells(column, spec) and column.description != spec.description)  # fmt: skip


def _set(column: Column, spec: ColumnSpec, ordinal: int) -> Column:
    column.ordinal, column.type, column.nullable = ordinal, spec.type, spec.nullable
    if _tells(column, spec):
        column.description = spec.description
        column.description_source = DescriptionSource.SOURCE
    return column


def _tells(column: Column, spec: ColumnSpec) -> bool:
    """Say whether the source describes the column and no person does."""
    return bool(spec.description) and column.description_source != DescriptionSource.ADMIN
