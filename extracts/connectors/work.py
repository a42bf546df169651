"""What a child process does for a run: call the connector, validate what it brought."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress
from catalog import connectors
from catalog.connectors import (
    Attach,
    Capability,
    ColumnSpec,
    CurrentPart,
    DriftPolicy,
    ExtractMode,
    ExtractRequest,
    ExtractResult,
    Reach,
    TableRequest,
)
from extracts.connectors import previewing
from extracts.engine import attaching, publish
from extracts.engine.candidate import Candidate
from extracts.engine.publish import ValidatedPart

# Where a state says which place it is about.
_ORIGIN = "origin"


def extract(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Bring one table as a validated candidate into ``arguments["folder"]``.

    Raises:
        AgnesError: as the connector or the validation says.
    """
    connector = _connector(arguments)
    config = connector.config_schema.model_validate(arguments["config"])
    table = table_request(connector, arguments["table"])
    origin = {_ORIGIN: _digest(connector.origin(config))}
    knows_place = arguments["state"].items() >= origin.items()
    request = ExtractRequest(
        table=table,
        mode=ExtractMode(arguments["mode"]) if knows_place else ExtractMode.FULL,
        state=arguments["state"] if knows_place else {},
        current=tuple(
            CurrentPart(key=key, path=Path(path)) for key, path in arguments["current_parts"]
        ),
    )
    out = Candidate(Path(arguments["folder"]), progress=progress)
    bring = connector.run_sql if arguments["runs_sql"] else connector.extract
    result = bring(config, arguments["secrets"], request, out)
    result = replace(result, state={**result.state, **origin})
    failpoint("extract.candidate_written")
    if result.is_unchanged:
        return _answer(result, parts=[], combined=None, notes=result.notes)
    parts = _validated(result, progress)
    drift = publish.compare_schemas(
        table.known_columns,
        parts[0].columns if parts else table.known_columns,
        policy=DriftPolicy(arguments["drift_policy"]),
    )
    combined = _combined(arguments, result, parts, out, progress)
    failpoint("publish.validated")
    notes = [*result.notes, *([f"Columns: {drift}"] if drift and table.known_columns else [])]
    return _answer(result, parts=parts, combined=combined, notes=notes)


def test(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Try the connection of a source."""
    connector = _connector(arguments)
    config = connector.config_schema.model_validate(arguments["config"])
    health = connector.test(config, arguments["secrets"])
    return {"message": health.message, "details": dict(health.details)}


def discover(arguments: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    """Return the tables that a source offers."""
    connector = _connector(arguments)
    if Capability.DISCOVER not in connector.capabilities:
        raise connector.unsupported(Capability.DISCOVER)
    config = connector.config_schema.model_validate(arguments["config"])
    return [asdict(spec) for spec in connector.discover(config, arguments["secrets"])]


def check_query(arguments: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    """Return the columns of a query, which the source's own engine checks and does not run."""
    connector = _connector(arguments)
    config = connector.config_schema.model_validate(arguments["config"])
    found = connector.check_query(config, arguments["secrets"], arguments["query"])
    return [asdict(column) for column in found]


def preview(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the first rows of a table, registered or not, as texts for people."""
    connector = _connector(arguments)
    if Capability.PREVIEW not in connector.capabilities:
        raise connector.unsupported(Capability.PREVIEW)
    config = connector.config_schema.model_validate(arguments["config"])
    table = table_request(connector, arguments["table"])
    found = connector.preview(config, arguments["secrets"], table, arguments["rows"])
    return previewing.shown(found.slice(0, arguments["rows"]))


def remote_attach(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Return how the catalog of a source is attached, and where its remote tables are in it."""
    connector = _connector(arguments)
    config = connector.config_schema.model_validate(arguments["config"])
    tables = {key: table_request(connector, table) for key, table in arguments["tables"].items()}
    places, missing = {}, {}
    for key, table in tables.items():
        try:
            places[key] = connector.remote_place(config, table)
        except InvalidInputError as error:
            missing[key] = error.message
    attach = connector.remote_attach(config, [tables[key] for key in places])
    return {"attach": asdict(attach), "places": places, "missing": missing}


def look_at_remote(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Attach a remote catalog and describe the tables at ``places``.

    Raises:
        RemoteUnreachableError: it cannot be attached.
    """
    places = {key: (place[0], place[1]) for key, place in arguments["places"].items()}
    secret = arguments["secrets"].get("secret", "")
    with TemporaryDirectory() as scratch:
        seen = attaching.look(
            Attach(**arguments["attach"]), secret=secret, tables=places, scratch=Path(scratch)
        )
    return seen.as_json()


def table_request(connector: connectors.Connector, given: Mapping[str, Any]) -> TableRequest:
    """Return a table as its connector takes it."""
    return TableRequest(
        name=given["name"],
        bucket=given["bucket"],
        source_table=given["source_table"],
        source_query=given["source_query"],
        primary_key=tuple(given["primary_key"]),
        incremental_column=given["incremental_column"],
        look_back=timedelta(days=given["incremental_window_days"] or 0),
        max_history=_days(given["max_history_days"]),
        options=connector.table_schema.model_validate(given["options"]),
        known_columns=tuple(ColumnSpec(**column) for column in given["known_columns"]),
    )


def _connector(arguments: Mapping[str, Any]) -> connectors.Connector:
    given = arguments.get("reach", {})
    reach = Reach(
        roots=tuple(map(Path, given.get("roots", ()))),
        private=tuple(map(Path, given.get("private", ()))),
        hosts=tuple(given.get("hosts", ())),
    )
    return connectors.get(arguments["source_type"]).within(reach)


def _days(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(days=count)


def _validated(result: ExtractResult, progress: Progress) -> list[ValidatedPart]:
    parts = []
    for number, part in enumerate(result.parts, start=1):
        count = len(result.parts)
        files = "the file" if count == 1 else f"{count} files"
        progress("validate", done=number, total=count, message=f"Checking every page of {files}.")
        found = publish.validate(part.path, key=part.key, expected_rows=part.rows)
        parts.append(_described(found, result.descriptions))
    if parts:
        publish.common_columns(parts)
    return parts


def _described(part: ValidatedPart, descriptions: Mapping[str, str]) -> ValidatedPart:
    """Return the part with what the source says of its columns, which no file holds."""
    if not descriptions:
        return part
    columns = tuple(
        replace(column, description=descriptions.get(column.name, "")) for column in part.columns
    )
    return replace(part, columns=columns)


def _combined(
    arguments: Mapping[str, Any],
    result: ExtractResult,
    parts: list[ValidatedPart],
    out: Candidate,
    progress: Progress,
) -> ValidatedPart | None:
    """Make the one file that clients without parts are given, where the table is small enough."""
    replaced = {part.key for part in parts} | set(result.removed_parts)
    kept = [] if result.is_complete else arguments["current_parts"]
    files = {key: Path(path) for key, path in kept if key not in replaced}
    files |= {part.key: part.path for part in parts}
    size = sum(path.stat().st_size for path in files.values())
    if len(files) < 2 or size > arguments["combined_max_bytes"]:
        return None
    progress("combine", message="Making one file of all parts for older clients.")
    path = out.scratch / "combined.parquet"
    written = publish.combine([files[key] for key in sorted(files)], path)
    return publish.validate(path, expected_rows=written.rows)


def _digest(origin: Hashable) -> str:
    return hashlib.sha256(repr(origin).encode()).hexdigest()


def _answer(
    result: ExtractResult,
    *,
    parts: list[ValidatedPart],
    combined: ValidatedPart | None,
    notes: Any,
) -> dict[str, Any]:
    return {
        "parts": [asdict(part) for part in parts],
        "removed_parts": list(result.removed_parts),
        "is_complete": result.is_complete,
        "is_unchanged": result.is_unchanged,
        "state": dict(result.state),
        "combined": asdict(combined) if combined else None,
        "notes": list(notes),
        "rejected": _rejected(result),
    }


def _rejected(result: ExtractResult) -> dict[str, Any] | None:
    if result.rejected is None:
        return None
    return {"path": str(result.rejected.path), "rows": result.rejected.rows}
