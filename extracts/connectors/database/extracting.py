"""Extract a table of a database in full, or merge what changed into what is in service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnes_site.core.errors import InvalidInputError
from catalog.connectors import CandidatePart, ExtractMode, ExtractRequest, ExtractResult, Output
from extracts.connectors.database import changes
from extracts.connectors.database.plan import Plan
from extracts.connectors.database.reading import Selection, in_order
from extracts.engine.merging import RowsMissingError


class KeyNeededError(InvalidInputError):
    """An incremental table has no primary key to merge its changes by."""

    code = "primary_key_needed"
    hint = "Set the primary key of the table, or extract it in full."


def extract(plan: Plan, request: ExtractRequest, out: Output) -> ExtractResult:
    """Bring a table as ``request`` wants it; where changes are not enough, all of it.

    Raises:
        KeyNeededError: the table is incremental and has no primary key.
        AgnesError: as the database says.
    """
    if plan.cursor is not None and not plan.key:
        raise KeyNeededError(f"{plan.table.name} is incremental and has no primary key.")
    newest = None
    if plan.cursor is not None:
        newest = plan.upstream.newest(plan.relation, plan.cursor)
    notes = plan.relation.notes()
    if request.mode is not ExtractMode.INCREMENTAL:
        return _full(plan, newest, out, notes)
    reason = changes.why_not(plan, request, newest)
    if not reason:
        try:
            part, note = changes.bring(plan, request, out)
        except RowsMissingError:
            reason = "the database has rows with an older cursor that were never seen"
        else:
            return _result(plan, part, newest, (*notes, note))
    return _full(plan, newest, out, (*notes, f"Read in full, because {reason}."))


def _full(plan: Plan, newest: str | None, out: Output, notes: tuple[str, ...]) -> ExtractResult:
    where = plan.within_history()
    if plan.tombstone:
        where += (f"NOT ({plan.tombstone})",)
    wanted = Selection(
        relation=plan.relation, key=plan.key, where=where, refuses_nulls=plan.cursor is not None
    )
    out.progress("extract", message=f"Reading {plan.relation.label}.")
    part = in_order(
        plan.upstream, wanted,
        lambda rows: out.write(rows, order=plan.key),
        scratch=out.scratch,
    )  # fmt: skip
    return _result(plan, part, newest, notes)


def _result(
    plan: Plan, part: CandidatePart, newest: str | None, notes: tuple[str, ...]
) -> ExtractResult:
    return ExtractResult(
        parts=(part,),
        state=_state(plan, newest),
        notes=notes,
        descriptions=plan.relation.descriptions(),
    )


def _state(plan: Plan, newest: str | None) -> Mapping[str, Any]:
    if plan.cursor is None:
        return {}
    return {"settings": plan.settings_digest(), "cursor": newest}
