"""Read only what changed in a table since its last run, and merge it into what is in service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.connectors import CandidatePart, ColumnSpec, ExtractRequest, Output
from extracts.connectors.database.plan import Plan
from extracts.connectors.database.reading import Selection, in_order
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.database.settings import Deletes
from extracts.engine.combining import read_parts
from extracts.engine.kernels import pc
from extracts.engine.merging import merged, still_there
from extracts.engine.parquet import ORDER_KEY, write_parquet


def why_not(plan: Plan, request: ExtractRequest, newest: str | None) -> str:
    """Say why changes alone would not give the whole table; empty where they do."""
    state = request.state
    if state.get("settings") != plan.settings_digest():
        return "the settings of the table changed"
    found = [(column.name, column.spec.type) for column in plan.relation.columns]
    if found != [(column.name, column.type) for column in plan.table.known_columns]:
        return "the columns changed"
    if len(request.current) != 1 or _order(request.current[0].path) != list(plan.key):
        return "the version in service is not sorted by the primary key"
    if newest is None or state.get("cursor") is None:
        return f"there is no value in {plan.table.incremental_column} to go on from"
    if _is_before(plan, newest, state["cursor"]):
        return f"{plan.table.incremental_column} went back from {state['cursor']} to {newest}"
    return ""


def bring(plan: Plan, request: ExtractRequest, out: Output) -> tuple[CandidatePart, str]:
    """Write the version in service with all changes as one part; return it and what to note.

    Raises:
        RowsMissingError: the keys of the database tell of rows that are not among them.
    """
    since = request.state["cursor"]
    out.progress("extract", message=f"Reading what changed since {since}.")
    removed = _free_name(plan.relation) if plan.tombstone else ""
    changed = out.scratch / "changes.parquet"
    count = _write_changes(plan, since, removed, changed, out)
    rows = _young(plan, read_parts([request.current[0].path]))
    rows = merged(rows, read_parts([changed]), plan.key, removed=removed)
    if plan.options.deletes is Deletes.COMPARE_KEYS:
        keys = _write_keys(plan, out)
        rows = still_there(rows, read_parts([keys]), plan.key)
    part = out.write(rows, order=plan.key)
    return part, f"Merged {count:,} rows that changed since {since}."


def _write_changes(plan: Plan, since: str, removed: str, path: Path, out: Output) -> int:
    assert plan.cursor is not None
    column = plan.upstream.compared(plan.cursor)
    start = plan.upstream.literal(plan.cursor, since, back=plan.table.look_back)
    relation = plan.relation
    if removed:
        relation = _with_flag(relation, removed, plan.tombstone)
    wanted = Selection(
        relation=relation,
        key=plan.key,
        # A row whose cursor is empty says nothing about when it changed.
        where=(f"{column} >= {start} OR {column} IS NULL", *plan.within_history()),
        refuses_nulls=True,
    )
    return _write(plan, wanted, path, out)


def _write_keys(plan: Plan, out: Output) -> Path:
    out.progress("extract", message="Reading all primary keys.")
    path = out.scratch / "keys.parquet"
    keys = plan.relation.only(plan.key)
    wanted = Selection(relation=keys, key=plan.key, where=plan.within_history(), refuses_nulls=True)
    _write(plan, wanted, path, out)
    return path


def _write(plan: Plan, wanted: Selection, path: Path, out: Output) -> int:
    scratch = out.scratch / path.stem
    scratch.mkdir()
    written = in_order(
        plan.upstream, wanted,
        lambda rows: write_parquet(rows, path, order=plan.key),
        scratch=scratch,
    )  # fmt: skip
    return written.rows


def _with_flag(relation: Relation, name: str, condition: str) -> Relation:
    flag = SourceColumn(
        spec=ColumnSpec(name=name, type="BOOLEAN"),
        kind="",
        expression=f"CASE WHEN {condition} THEN 1 ELSE 0 END",
        cast="{}::INTEGER = 1",
    )
    return replace(relation, columns=(*relation.columns, flag))


def _free_name(relation: Relation) -> str:
    taken = {column.name.lower() for column in relation.columns}
    name = "is_deleted"
    while name in taken:
        name += "_"
    return name


def _young(plan: Plan, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Leave out rows that have become too old since they were merged."""
    if plan.oldest is None or plan.cursor is None:
        return rows
    batches = _younger(rows, plan.cursor.name, plan.oldest)
    return pa.RecordBatchReader.from_batches(rows.schema, batches)


def _younger(rows: pa.RecordBatchReader, name: str, oldest: datetime) -> Iterator[pa.RecordBatch]:
    kind: Any = rows.schema.field(name).type
    plain = oldest if getattr(kind, "tz", None) else oldest.replace(tzinfo=None)
    bound = pa.scalar(plain.date() if pa.types.is_date(kind) else plain, kind)
    for batch in rows:
        is_young = pc.fill_null(pc.greater_equal(batch.column(name), bound), True)
        yield batch.filter(is_young)


def _is_before(plan: Plan, one: str, other: str) -> bool:
    assert plan.cursor is not None
    upstream, cursor = plan.upstream, plan.cursor
    condition = f"{upstream.literal(cursor, one)} < {upstream.literal(cursor, other)}"
    found = upstream.values(f"SELECT CASE WHEN {condition} THEN 1 ELSE 0 END AS is_before")
    return str(found[0][0]) == "1"


def _order(path: Path) -> list[str]:
    """Return the columns by which our writer says that a file is sorted."""
    metadata = pq.read_metadata(path).metadata or {}
    order: list[str] = json.loads(metadata.get(ORDER_KEY.encode(), b"[]"))
    return order
