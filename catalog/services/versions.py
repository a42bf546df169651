"""Versions of a table: made, rolled back, released."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, OuterRef, QuerySet, Subquery

from access.models import User
from access.services import audit
from agnes_site.core.errors import ConflictError, NotFoundError
from catalog.connectors import ColumnSpec
from catalog.models import Table, TablePart, TableVersion
from catalog.services import columns, showing


class FencedOffError(ConflictError):
    """Somebody else has taken over the work on this table."""

    code = "fenced_off"
    hint = "Nothing is lost: the run that took over publishes."


class TablePinnedError(ConflictError):
    """The table was rolled back and stays as it is until it is released."""

    code = "table_pinned"
    hint = "Release the table to let new versions in."


class VersionNotFoundError(NotFoundError):
    """There is no such version of this table."""

    code = "version_not_found"


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """A file in the store that is to be one part of a version."""

    key: str
    sha256: str
    md5: str
    bytes: int
    rows: int
    min_key: Any = None
    max_key: Any = None


@dataclass(frozen=True, kw_only=True)
class Combined:
    """All parts as one file in the store, for clients that know only one."""

    sha256: str
    md5: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything a new version consists of."""

    parts: Sequence[StoredPart]
    columns: Sequence[ColumnSpec]
    schema_hash: str
    combined: Combined | None = None
    extract_state: Mapping[str, Any] = field(default_factory=dict)
    run_id: UUID | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A draft for a table, by whoever was given the fencing number ``fencing``."""

    table: Table
    draft: Draft
    fencing: int


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What a proposal led to: the version in service, and whether it is a new one."""

    version: TableVersion
    is_new: bool


def commit(*, table: Table, draft: Draft, fencing: int) -> tuple[TableVersion, bool]:
    """Make ``draft`` the current version; return it, and whether it is a new one.

    The same parts and columns as now make no new version: nothing moves but the state that
    the next run starts from, and what the source says of its columns.

    Raises:
        FencedOffError: the work on the table was taken over since ``fencing`` was given.
        TablePinnedError: the table was rolled back and is not released.
    """
    (outcome,) = commit_all([Proposal(table=table, draft=draft, fencing=fencing)])
    if isinstance(outcome, ConflictError):
        raise outcome
    return outcome.version, outcome.is_new


@transaction.atomic
def commit_all(proposals: Sequence[Proposal]) -> list[Committed | ConflictError]:
    """Commit drafts of different tables at once; return what each led to, in their order.

    What :func:`commit` would raise for one of them is its outcome; it does not touch the others.
    """
    locked = {table.pk: table for table in _locked([each.table.pk for each in proposals])}
    parts = _current_parts(locked.values())
    outcomes: dict[UUID, Committed | ConflictError] = {}
    accepted = []
    for proposal in proposals:
        table = locked.get(proposal.table.pk)
        if table is None:
            gone = FencedOffError(f"{proposal.table.name} was unregistered meanwhile.")
            outcomes[proposal.table.pk] = gone
        elif outcome := _refusal(table, proposal.fencing) or _kept(table, proposal.draft, parts):
            outcomes[table.pk] = outcome
        else:
            accepted.append(replace(proposal, table=table))
    for version in _make_current(accepted):
        outcomes[version.table_id] = Committed(version=version, is_new=True)
    audit.record_each(
        action="publish",
        after={
            f"table/{locked[pk].name}": _told(outcome.version)
            for pk, outcome in outcomes.items()
            if isinstance(outcome, Committed) and outcome.is_new
        },
    )
    return [outcomes[each.table.pk] for each in proposals]


@transaction.atomic
def roll_back(*, table: Table, number: int, by: User | None, note: str = "") -> TableVersion:
    """Serve the parts of an older version again, as a new version, and pin the table to it.

    Runs that are under way lose their right to publish.

    Raises:
        VersionNotFoundError: there is no version with this number, or it is no longer kept.
    """
    locked = _locked([table.pk]).get()
    old = locked.versions.filter(number=number).first()
    if old is None:
        raise VersionNotFoundError(f"{table.name} has no version {number}.", version=number)
    locked.fencing += 1
    locked.is_pinned = True
    locked.save(update_fields=["fencing", "is_pinned"])
    draft = Draft(
        parts=[stored_part(part) for part in old.parts.all()],
        columns=[ColumnSpec(**column) for column in old.schema],
        schema_hash=old.schema_hash,
        combined=_combined(old),
        # The next run starts from nothing: what it knew belongs to the version rolled back.
        extract_state={},
        note=note or f"Rolled back to version {number}",
    )
    proposal = Proposal(table=locked, draft=draft, fencing=locked.fencing)
    (version,) = _make_current([proposal])
    audit.record(
        action="roll_back", resource=f"table/{locked.name}", actor=by,
        after={"version": version.number, "to": number},
    )  # fmt: skip
    return version


@transaction.atomic
def release(*, table: Table, by: User | None) -> None:
    """Let new versions of a table in again."""
    Table.objects.filter(pk=table.pk).update(is_pinned=False)
    audit.record(action="release", resource=f"table/{table.name}", actor=by)


def lock(table_ids: Iterable[UUID], *, skip_locked: bool = False) -> dict[UUID, int]:
    """Let nobody else change these tables before the transaction is over.

    Return the fencing numbers of those that exist, with ``skip_locked`` of those that nobody
    else has locked. Whoever changes runs of a table as well has to lock the table first.
    """
    # In one order: two who lock the same tables wait for each other instead of for ever.
    wanted = Table.objects.filter(pk__in=list(table_ids)).order_by("pk")
    locked = wanted.select_for_update(skip_locked=skip_locked, no_key=True)
    return dict(locked.values_list("pk", "fencing"))


def take_fencings(table_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Count one claim on each of these tables and return the numbers of those that exist.

    Call it inside a transaction.
    """
    numbers = lock(table_ids)
    Table.objects.filter(pk__in=numbers).update(fencing=F("fencing") + 1)
    return {pk: number + 1 for pk, number in numbers.items()}


def _locked(ids: Collection[UUID]) -> QuerySet[Table]:
    # Only the tables themselves: PostgreSQL cannot lock the optional side of a join. In one
    # order: two commits of the same tables wait for each other instead of for ever.
    tables = Table.objects.filter(pk__in=ids).order_by("pk")
    tables = tables.select_for_update(of=("self",), no_key=True)
    return tables.select_related("source", "folder", "current_version")


def _refusal(table: Table, fencing: int) -> ConflictError | None:
    if table.fencing != fencing:
        return FencedOffError(f"The work on {table.name} was taken over by another worker.")
    if table.is_pinned:
        return TablePinnedError(f"{table.name} is pinned to an older version.")
    return None


def _kept(
    table: Table, draft: Draft, parts: Mapping[UUID, Sequence[tuple[str, str]]]
) -> Committed | None:
    """Return the version in service, with the new state, if the draft has the same parts."""
    version = table.current_version
    if version is None or version.schema_hash != draft.schema_hash:
        return None
    if parts.get(version.pk, []) != [(part.key, part.sha256) for part in draft.parts]:
        return None
    schema = [_as_json(column) for column in draft.columns]
    if schema != version.schema:
        columns.describe([(table, draft.columns)])
    if (version.extract_state, version.schema) != (draft.extract_state, schema):
        version.extract_state, version.schema = dict(draft.extract_state), schema
        version.save(update_fields=["extract_state", "schema"])
    return Committed(version=version, is_new=False)


def _current_parts(tables: Iterable[Table]) -> dict[UUID, list[tuple[str, str]]]:
    found: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    current = [table.current_version_id for table in tables if table.current_version_id]
    parts = TablePart.objects.filter(version__in=current).order_by("ordinal") if current else ()
    for part in parts:
        found[part.version_id].append((part.key, part.sha256))
    return found


def _make_current(proposals: Sequence[Proposal]) -> list[TableVersion]:
    """Make versions of drafts for locked tables and put them in service."""
    if not proposals:
        return []
    tables = [proposal.table for proposal in proposals]
    of_tables = TableVersion.objects.filter(table__in=tables).order_by("table")
    last = dict(of_tables.values_list("table").annotate(last=Max("number")))
    made = [_version(each, number=last.get(each.table.pk, 0) + 1) for each in proposals]
    TableVersion.objects.bulk_create(made)
    TablePart.objects.bulk_create(
        TablePart(version=version, ordinal=ordinal, **vars(part))
        for version, proposal in zip(made, proposals, strict=True)
        for ordinal, part in enumerate(proposal.draft.parts)
    )
    newest = TableVersion.objects.filter(table=OuterRef("pk")).order_by("-number").values("pk")
    Table.objects.filter(pk__in=[table.pk for table in tables]).update(
        current_version=Subquery(newest[:1])
    )
    columns.describe((each.table, each.draft.columns) for each in proposals)
    showing.changed(*tables)
    return made


def _version(proposal: Proposal, *, number: int) -> TableVersion:
    draft, combined = proposal.draft, proposal.draft.combined
    return TableVersion(
        table=proposal.table,
        number=number,
        run_id=draft.run_id,
        fencing=proposal.fencing,
        combined_sha256=combined.sha256 if combined else None,
        combined_md5=combined.md5 if combined else None,
        combined_bytes=combined.bytes if combined else None,
        rows=sum(part.rows for part in draft.parts),
        bytes=sum(part.bytes for part in draft.parts),
        schema=[_as_json(column) for column in draft.columns],
        schema_hash=draft.schema_hash,
        extract_state=dict(draft.extract_state),
        note=draft.note,
    )


def _told(version: TableVersion) -> dict[str, Any]:
    return {"version": version.number, "rows": version.rows, "bytes": version.bytes}


def stored_part(part: TablePart) -> StoredPart:
    """Return a part of one version as it would be part of another."""
    return StoredPart(
        key=part.key, sha256=part.sha256, md5=part.md5, bytes=part.bytes, rows=part.rows,
        min_key=part.min_key, max_key=part.max_key,
    )  # fmt: skip


def _combined(version: TableVersion) -> Combined | None:
    if not version.combined_sha256 or not version.combined_md5 or version.combined_bytes is None:
        return None
    return Combined(
        sha256=version.combined_sha256, md5=version.combined_md5, bytes=version.combined_bytes
    )


def _as_json(column: ColumnSpec) -> dict[str, Any]:
    return {
        "name": column.name, "type": column.type, "nullable": column.nullable,
        "description": column.description,
    }  # fmt: skip
