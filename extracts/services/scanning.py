"""Finding and bringing what other producers leave in ``extracts/``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from access.services import audit
from agnes_site.core import human, slugs
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import Layout
from catalog import connectors
from catalog.connectors import QueryMode
from catalog.models import IncidentKind, Source, Table
from catalog.services import incidents, registry, sources
from extracts.engine import contract
from extracts.models import RunKind, RunState, RunTrigger
from extracts.services import probing, runs
from extracts.services.holding import Holding
from extracts.services.ownership import is_foreign
from extracts.services.probing import Asker, Upstream

FOREIGN_TYPE = "external"
# Tables that are registered together.
_AT_ONCE = 25
# Tables that are named in what is said of those that were left out.
_TOLD = 5


class TablesLeftOutError(ConflictError):
    """An extract lists tables that cannot be registered as they are."""

    code = "extract_tables_left_out"
    hint = (
        "Mend or rename them in the extract; it is looked at again when it is written. A name "
        "that another source has is free once its table there is unregistered."
    )


def scan() -> list[Source]:
    """Look at every extract folder and ask for a run where one has changed; return those sources.

    An unknown folder becomes a source, whose tables nobody may read until they are granted.
    """
    layout: Layout = settings.LAYOUT
    known = {source.slug: source for source in Source.objects.all()}
    changed = []
    for file in sorted(layout.extracts.glob(f"*/{contract.EXTRACT_NAME}")):
        name = file.parent.name
        if not slugs.is_slug(name) or file.is_symlink() or file.parent.is_symlink():
            continue
        source = known.get(name)
        if source is None:
            source = _adopt(file.parent)
            failpoint("scan.source_adopted")
        if source is None:
            continue
        if not is_foreign(source):
            _look_for_stranger(file, source)
        elif source.scan_state.get("extract") != signature(file.parent):
            runs.request_run(source=source, by=None, trigger=RunTrigger.SCAN)
            changed.append(source)
    return changed


def bring_source(holding: Holding) -> None:
    """Do a run of a whole source: register what is new in a foreign one, ask for every table."""
    source = holding.run.source
    if source is None:
        raise connectors.UnsupportedCapabilityError("A run of a source needs a source.")
    if is_foreign(source):
        _register_shown(holding, source)
    tables = list(source.tables.exclude(query_mode=QueryMode.REMOTE).order_by("name"))
    runs.request_runs(tables=tables, by=holding.run.requested_by, trigger=RunTrigger.SCAN)
    holding.note(f"Asked for {human.plural(len(tables), 'table')}.")
    holding.finish(RunState.SUCCEEDED)


def signature(folder: Path) -> str:
    """Return what changes whenever somebody writes a file of an extract."""
    seen = hashlib.sha256()
    for file in sorted([folder / contract.EXTRACT_NAME, *folder.glob("data/**/*.parquet")]):
        with suppress(FileNotFoundError):
            found = file.lstat()
            named = str(file.relative_to(folder))
            seen.update(
                repr((named, found.st_size, found.st_mtime_ns, found.st_ino)).encode("utf-8")
            )
    return seen.hexdigest()


@transaction.atomic
def _adopt(folder: Path) -> Source | None:
    if contract.is_written_by_us(folder):
        # Of a source that was deleted: the rebuild that its deletion asked for removes it.
        return None
    if Source.objects.filter(slug__iexact=folder.name).exists():
        return None
    source = sources.add_source(
        slug=folder.name, source_type=FOREIGN_TYPE, config={"folder": str(folder)}, by=None,
    )  # fmt: skip
    audit.record(action="source.found", resource=f"source/{source.slug}")
    return source


def _look_for_stranger(file: Path, source: Source) -> None:
    """Notice an ``extract.duckdb`` in a folder of ours that we did not write."""
    seen = signature(file.parent)
    if source.scan_state.get("extract") == seen:
        return
    if contract.extract_hash(file) in source.extract_hashes:
        source.scan_state = {**source.scan_state, "extract": seen}
        source.save(update_fields=["scan_state"])
        return
    Source.objects.filter(pk=source.pk).update(extract_stamp=None)
    runs.request_run(source=source, by=None, kind=RunKind.REBUILD, trigger=RunTrigger.SCAN)


def _register_shown(holding: Holding, source: Source) -> None:
    layout: Layout = settings.LAYOUT
    seen = signature(layout.extracts / source.slug)
    try:
        specs = probing.discover(
            Upstream.of(source),
            asker=Asker(progress=holding.progress),
            patience_seconds=settings.CONFIG.run_timeout_seconds,
        )
    except AgnesError as error:
        # Not looked at again before somebody writes it again.
        _remember(source, extract=seen)
        incidents.open_incident(about=source, kind=IncidentKind.UNREADABLE, error=error)
        raise
    offered = set(source.scan_state.get("offered", []))
    left_out = [(spec["name"], spec["problem"]) for spec in specs if spec["problem"]]
    usable = [spec for spec in specs if not spec["problem"]]
    new = [spec for spec in usable if spec["source_table"] not in offered]
    taken: list[str] = []
    for start in range(0, len(new), _AT_ONCE):
        taken += _register(holding, source, new[start : start + _AT_ONCE])
        failpoint("scan.table_registered")
    offered |= {spec["source_table"] for spec in new if spec["name"] not in taken}
    incidents.close_incidents(about=source, kind=IncidentKind.UNREADABLE)
    left_out += [(name, "Another source has a table of this name.") for name in taken]
    if left_out:
        refusal = TablesLeftOutError(_told(left_out))
        holding.note(refusal.message)
        incidents.open_incident(about=source, kind=IncidentKind.HELD, error=refusal)
    else:
        incidents.close_incidents(about=source, kind=IncidentKind.HELD)
    _remember(source, extract=seen, offered=sorted(offered))


@transaction.atomic
def _register(holding: Holding, source: Source, specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Register tables of a source; return the names that are taken."""
    known = registry.find_names([spec["name"] for spec in specs])
    new = [spec for spec in specs if spec["name"] not in known]
    registry.register_tables(source=source, tables=[_fields(spec) for spec in new], by=None)
    for spec in new:
        holding.note(f"Registered {spec['name']}; nobody may read it until it is granted.")
    return [
        spec["name"]
        for spec in specs
        if spec["name"] in known
        and not _is_shown_as(known[spec["name"]].table, source, spec["source_table"])
    ]


def _fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {field: spec[field] for field in ("name", "source_table", "description", "query_mode")}


def _told(left_out: Sequence[tuple[str, str]]) -> str:
    """Return which tables are left out and why, at most some of them by name."""
    named = [f"{name[: slugs.MAX_LENGTH]!r}: {why}" for name, why in left_out[:_TOLD]]
    more = [f"And {len(left_out) - _TOLD} more."] if len(left_out) > _TOLD else []
    count = human.plural(len(left_out), "table")
    return " ".join([f"The extract lists {count} that cannot be registered.", *named, *more])


def _is_shown_as(table: Table, source: Source, shown: str) -> bool:
    """Say whether an earlier look, which was ended half-way, has registered this very table."""
    return (table.source_id, table.source_table) == (source.pk, shown)


def _remember(source: Source, **seen: Any) -> None:
    source.scan_state = {**source.scan_state, **seen}
    source.save(update_fields=["scan_state"])
    failpoint("scan.remembered")
