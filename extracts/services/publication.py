"""Publish: the one door by which a candidate reaches readers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DataError, IntegrityError

from agnes_site.core.errors import AgnesError, InvalidInputError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import Layout, locked
from catalog.connectors import ColumnSpec
from catalog.models import IncidentKind, Table, TableVersion
from catalog.services import incidents, versions
from catalog.services.versions import Combined, Committed, Draft, Proposal, StoredPart
from extracts.engine import publish as engine
from extracts.models import Run
from extracts.services import rejected


class NoPartsError(InvalidInputError):
    """A candidate without a single part cannot be a version."""

    code = "candidate_empty"
    hint = "The source gave neither rows nor columns; look at its settings for this table."


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a child process brought and validated, on its way to become a version."""

    parts: Sequence[engine.ValidatedPart]
    removed_parts: Sequence[str]
    is_complete: bool
    state: Mapping[str, Any]
    combined: engine.ValidatedPart | None = None
    rejected: Path | None = None

    @property
    def hashes(self) -> list[str]:
        """The files that it brings."""
        combined = [self.combined.sha256] if self.combined else []
        return [*(part.sha256 for part in self.parts), *combined]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A candidate for a table, by the run that brought it."""

    table: Table
    run: Run
    candidate: Candidate


def publish(*, table: Table, run: Run, candidate: Candidate) -> tuple[TableVersion, bool]:
    """Store the parts of a candidate and make them the current version.

    Safe to repeat: the same parts are stored once and make no second version. Returns the
    version and whether it is new. The rows that the connector set aside are kept first: once
    there is a version, the next attempt may find nothing new at the source.

    Raises:
        NoPartsError: nothing would be left of the table.
        FencedOffError: another worker has taken over the run.
        TablePinnedError: the table was rolled back meanwhile.
    """
    (outcome,) = publish_all([Submission(table=table, run=run, candidate=candidate)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome.version, outcome.is_new


def publish_all(submissions: Sequence[Submission]) -> list[Committed | Exception]:
    """Publish candidates for different tables at once; return what each led to, in their order.

    What :func:`publish` would raise for one of them is its outcome; it does not touch the others.
    """
    layout: Layout = settings.LAYOUT
    # Until the rows name them, nobody cleans up the files.
    with locked(layout.store, shared=True):
        return _publish_all(submissions, layout)


def _publish_all(submissions: Sequence[Submission], layout: Layout) -> list[Committed | Exception]:
    outcomes: dict[UUID, Committed | Exception] = {}
    drafts = []
    for submission in submissions:
        try:
            drafts.append((submission, _draft(submission, store=layout.store)))
        except (AgnesError, OSError) as error:
            outcomes[submission.table.pk] = error
    stored = {each.table.pk: list(map(layout.stored, each.candidate.hashes)) for each, _ in drafts}
    unsafe = engine.make_durable(
        {place for each in stored.values() for place in each}, layout.store
    )
    proposals = []
    for submission, draft in drafts:
        table = submission.table
        trouble = [unsafe[place] for place in stored[table.pk] if place in unsafe]
        if trouble:
            outcomes[table.pk] = trouble[0]
        else:
            fencing = submission.run.fencing
            proposals.append(Proposal(table=table, draft=draft, fencing=fencing))
    failpoint("publish.stored")
    committed = _committed(proposals)
    failpoint("publish.committed")
    outcomes |= {each.table.pk: to for each, to in zip(proposals, committed, strict=True)}
    return [outcomes[submission.table.pk] for submission in submissions]


def _committed(proposals: Sequence[Proposal]) -> Sequence[Committed | Exception]:
    try:
        return versions.commit_all(proposals)
    except (DataError, IntegrityError) as error:
        # The database refuses something of one table: the others are committed without it.
        if len(proposals) == 1:
            return [error]
        return [outcome for each in proposals for outcome in _committed([each])]


def _draft(submission: Submission, *, store: Path) -> Draft:
    """Take the files of a candidate into the store and return what they are to be."""
    table, candidate = submission.table, submission.candidate
    parts = [_stored(store, part) for part in candidate.parts]
    kept = [] if candidate.is_complete else _kept(table, candidate)
    everything = sorted([*kept, *parts], key=lambda part: part.key)
    if not everything:
        raise NoPartsError(f"Nothing would be left of {table.name}.")
    combined = None
    if candidate.combined is not None:
        engine.take_part(candidate.combined, store=store)
        failpoint("publish.combined_stored")
        combined = Combined(
            sha256=candidate.combined.sha256,
            md5=candidate.combined.md5,
            bytes=candidate.combined.bytes,
        )
    state = candidate.state
    rejected.forget(submission.run)
    if candidate.rejected is not None:
        rejected.keep(submission.run, candidate.rejected)
        state = rejected.signed(state, submission.run)
        failpoint("publish.rejected_kept")
    newest = candidate.parts[0] if candidate.parts else None
    return Draft(
        parts=everything,
        columns=newest.columns if newest else current_columns(table),
        schema_hash=newest.schema_hash if newest else _current(table).schema_hash,
        combined=combined,
        extract_state=state,
        run_id=submission.run.pk,
    )


def hold(*, table: Table, error: AgnesError) -> None:
    """Keep the last good version of a table in service and say why."""
    incidents.open_incident(about=table, kind=IncidentKind.HELD, error=error)


def end_hold(tables: Collection[Table]) -> None:
    """Say that nothing of these tables is held back any more."""
    incidents.close_incidents_of(tables, kind=IncidentKind.HELD)


def current_columns(table: Table) -> tuple[ColumnSpec, ...]:
    """Return the columns of the version in service, none if there is no version."""
    if table.current_version is None:
        return ()
    return tuple(ColumnSpec(**column) for column in table.current_version.schema)


def stored_paths(table: Table) -> list[tuple[str, Path]]:
    """Return key and place of each part of the version in service."""
    layout: Layout = settings.LAYOUT
    if table.current_version is None:
        return []
    parts = sorted(table.current_version.parts.all(), key=attrgetter("ordinal"))
    return [(part.key, layout.stored(part.sha256)) for part in parts]


def _stored(store: Path, part: engine.ValidatedPart) -> StoredPart:
    engine.take_part(part, store=store)
    failpoint("publish.part_stored")
    return StoredPart(
        key=part.key, sha256=part.sha256, md5=part.md5, bytes=part.bytes, rows=part.rows,
        min_key=part.order_min, max_key=part.order_max,
    )  # fmt: skip


def _kept(table: Table, candidate: Candidate) -> list[StoredPart]:
    replaced = {part.key for part in candidate.parts} | set(candidate.removed_parts)
    if table.current_version is None:
        return []
    return [
        versions.stored_part(part)
        for part in table.current_version.parts.all()
        if part.key not in replaced
    ]


def _current(table: Table) -> TableVersion:
    if table.current_version is None:
        raise NoPartsError(f"{table.name} has no version yet, and the run brought no part.")
    return table.current_version
