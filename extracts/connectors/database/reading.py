"""Bring the rows of a relation in the order of their key, whoever sorts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from extracts.connectors.database.relation import Relation, typed
from extracts.connectors.database.upstream import Upstream
from extracts.engine.keys import OutOfOrderError, checked_keys, without_nulls
from extracts.engine.session import batch_rows
from extracts.engine.sorting import sorted_rows

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows of a relation are wanted, by which key they are sorted."""

    relation: Relation
    key: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    refuses_nulls: bool = False


def in_order(
    upstream: Upstream,
    wanted: Selection,
    write: Callable[[pa.RecordBatchReader], Made],
    *,
    scratch: Path,
) -> Made:
    """Hand the rows to ``write`` sorted by the key, or as they come where there is none.

    The database sorts where it does as Arrow does; texts, which databases sort by language,
    are sorted here.

    Raises:
        DuplicateKeyError, NullKeyError: two rows share a key, or one has none.
    """
    relation, key = wanted.relation, wanted.key
    if not key:
        return write(typed(upstream.rows(relation, where=wanted.where), relation))
    if _sorts(relation, key):
        order = [upstream.ordered(relation.column(name, role="key")) for name in key]
        rows = upstream.rows(relation, where=wanted.where, order=order)
        try:
            return write(_checked(rows, wanted, is_sorted=False))
        except OutOfOrderError:
            del rows
    rows = upstream.rows(relation, where=wanted.where)
    rows = sorted_rows(
        upstream.connection, rows, key,
        scratch=scratch, batch_rows=batch_rows(len(relation.columns)),
    )  # fmt: skip
    return write(_checked(rows, wanted, is_sorted=True))


def _checked(
    rows: pa.RecordBatchReader, wanted: Selection, *, is_sorted: bool
) -> pa.RecordBatchReader:
    if wanted.refuses_nulls:
        rows = without_nulls(rows, wanted.key)
    return typed(checked_keys(rows, wanted.key, is_sorted=is_sorted), wanted.relation)


def _sorts(relation: Relation, key: Sequence[str]) -> bool:
    return all(column.is_sortable for column in relation.columns if column.name in key)
