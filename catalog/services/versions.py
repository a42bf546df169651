"""Versions of a table: made, rolled back, released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from access.models import User
from access.services import audit
from agnes_site.core.errors import ConflictError, NotFoundError
from catalog.connectors import ColumnSpec
from catalog.models import Column, Table, TablePart, TableVersion
from catalog.models.table import DescriptionSource
from catalog.services import showing


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


@transaction.atomic
def commit(*, table: Table, draft: Draft, fencing: int) -> tuple[TableVersion, bool]:
    """Make ``draft`` the current version; return it, and whether it is a new one.

    The same parts and columns as now make no new version: nothing moves but the state that
    the next run starts from, and what the source says of its columns.

    Raises:
        FencedOffError: the work on the table was taken over since ``fencing`` was given.
        TablePinnedError: the table was rolled back and is not released.
    """
    locked = _locked().filter(pk=table.pk).first()
    if locked is None:
        raise FencedOffError(f"{table.name} was unregistered meanwhile.")
    if locked.fencing != fencing:
        raise FencedOffError(f"The work on {table.name} was taken over by another worker.")
    if locked.is_pinned:
        raise TablePinnedError(f"{table.name} is pinned to an older version.")
    current = locked.current_version
    if current is not None and _is_same(current, draft):
        schema = [_as_json(column) for column in draft.columns]
        if schema != current.schema:
            describe(locked, draft.columns)
        current.extract_state, current.schema = dict(draft.extract_state), schema
        current.save(update_fields=["extract_state", "schema"])
        return current, False
    version = _make(locked, draft, fencing=fencing)
    _show(locked, version, draft.columns)
    audit.record(
        action="publish", resource=f"table/{locked.name}",
        after={"version": version.number, "rows": version.rows, "bytes": version.bytes},
    )  # fmt: skip
    return version, True


@transaction.atomic
def roll_back(*, table: Table, number: int, by: User | None, note: str = "") -> TableVersion:
    """Serve the parts of an older version again, as a new version, and pin the table to it.

    Runs that are under way lose their right to publish.

    Raises:
        VersionNotFoundError: there is no version with this number, or it is no longer kept.
    """
    locked = _locked().get(pk=table.pk)
    old = locked.versions.filter(number=number).first()
    if old is None:
        raise VersionNotFoundError(f"{table.name} has no version {number}.", version=number)
    locked.fencing += 1
    locked.is_pinned = True
    locked.save(update_fields=["fencing", "is_pinned"])
    columns = [ColumnSpec(**column) for column in old.schema]
    draft = Draft(
        parts=[stored_part(part) for part in old.parts.all()],
        columns=columns,
        schema_hash=old.schema_hash,
        combined=_combined(old),
        # The next run starts from nothing: what it knew belongs to the version rolled back.
        extract_state={},
        note=note or f"Rolled back to version {number}",
    )
    version = _make(locked, draft, fencing=locked.fencing)
    _show(locked, version, columns)
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


def take_fencing(table_id: UUID) -> int:
    """Count one claim on a table and return the number; call it inside a transaction."""
    Table.objects.filter(pk=table_id).update(fencing=F("fencing") + 1)
    return Table.objects.values_list("fencing", flat=True).get(pk=table_id)


def _locked() -> QuerySet[Table]:
    # Only the table itself: PostgreSQL cannot lock the optional side of a join.
    tables = Table.objects.select_for_update(of=("self",))
    return tables.select_related("source", "folder", "current_version")


def _make(table: Table, draft: Draft, *, fencing: int) -> TableVersion:
    last = table.versions.order_by("-number").values_list("number", flat=True).first() or 0
    combined = draft.combined
    version = TableVersion.objects.create(
        table=table,
        number=last + 1,
        run_id=draft.run_id,
        fencing=fencing,
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
    TablePart.objects.bulk_create(
        TablePart(version=version, ordinal=ordinal, **vars(part))
        for ordinal, part in enumerate(draft.parts)
    )
    return version


def _show(table: Table, version: TableVersion, columns: Sequence[ColumnSpec]) -> None:
    table.current_version = version
    table.save(update_fields=["current_version"])
    describe(table, columns)
    showing.changed(table)


def describe(table: Table, columns: Sequence[ColumnSpec]) -> None:
    """Say which columns a table has; what people wrote about one that stays is kept."""
    known = {column.name: column for column in table.columns.all()}
    described = []
    for ordinal, found in enumerate(columns):
        column = known.pop(found.name, None) or Column(table=table, name=found.name)
        described.append(column)
        column.ordinal, column.type, column.nullable = ordinal, found.type, found.nullable
        if found.description and column.description_source != DescriptionSource.ADMIN:
            column.description = found.description
            column.description_source = DescriptionSource.SOURCE
    Column.objects.bulk_create(
        described,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["ordinal", "type", "nullable", "description", "description_source"],
        batch_size=100,
    )
    Column.objects.filter(pk__in=[column.pk for column in known.values()]).delete()


def _is_same(version: TableVersion, draft: Draft) -> bool:
    now = [(part.key, part.sha256) for part in version.parts.all()]
    return (
        now == [(part.key, part.sha256) for part in draft.parts]
        and version.schema_hash == draft.schema_hash
    )


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
