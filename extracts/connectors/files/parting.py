"""A part for each file of a table: what has not changed is not read again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import AgnesError
from catalog.connectors import ExtractRequest, ExtractResult, Output
from extracts.connectors.files.by_file import JoinedRejects, readers_by_file, whole_schema
from extracts.connectors.files.locations.location import Entry, Fetched, Location, Stamp
from extracts.connectors.files.source_file import refuse_mixture
from extracts.connectors.files.table_settings import FilesTable
from extracts.connectors.files.writing import write
from extracts.engine.columns import canonical_schema
from extracts.engine.session import session

_PLAIN_KEY = re.compile(r"[a-z0-9_][a-z0-9_.=+-]{0,100}[a-z0-9_=+-]|[a-z0-9_]")


def part_key(name: str) -> str:
    """Return the key of the part that holds the file of this name.

    Names that are plain stay as they are; others are made so and told apart by a hash.
    """
    if _PLAIN_KEY.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9_.=+-]+", "-", name).strip(".-")[-80:].lstrip(".-")
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{plain}-{digest}" if plain else digest


def extract_parts(
    location: Location,
    entries: Sequence[Entry],
    request: ExtractRequest,
    out: Output,
    *,
    way: str,
) -> ExtractResult:
    """Bring the files that are new or have changed, and drop the parts of those that are gone.

    ``way`` changes whenever the same files would give other rows; everything is read again then,
    and where the files have other columns than the table.

    Raises:
        AgnesError: a file is not as it should be, or changed while it was read.
    """
    known = _known(request, way)
    stamps = location.stamps(entries, known)
    changed = [
        entry
        for entry, stamp in zip(entries, stamps, strict=True)
        if stamp is None or known.get(entry.name) != stamp
    ]
    keys = {part_key(entry.name) for entry in entries}
    removed = tuple(part.key for part in request.current if known and part.key not in keys)
    if known and not changed and not removed:
        return ExtractResult(is_unchanged=True, state=request.state)
    if known and changed:
        result = _bring(location, changed, request, out, schema=_schema_in_service(request))
        if result is None:
            return extract_parts(location, entries, _from_nothing(request), out, way=way)
    elif changed:
        result = _bring(location, changed, request, out, schema=None)
        assert result is not None
    else:
        result = ExtractResult(), {}
    brought, fresh = result
    kept = {entry.name: known[entry.name] for entry in entries if entry not in changed}
    return ExtractResult(
        parts=brought.parts,
        removed_parts=removed,
        is_complete=not known,
        state={"way": way, "files": kept | fresh},
        notes=(*brought.notes, f"{len(changed):,} of {len(entries):,} files were read."),
        rejected=brought.rejected,
    )


def _bring(
    location: Location,
    entries: Sequence[Entry],
    request: ExtractRequest,
    out: Output,
    *,
    schema: pa.Schema | None,
) -> tuple[ExtractResult, dict[str, Stamp]] | None:
    """Write a part for each file; ``None`` if they do not have the columns of ``schema``."""
    table = request.table
    options = cast("FilesTable", table.options)
    with location.fetched(entries, out.scratch) as fetched, session(out.scratch) as connection:
        try:
            files = [each.file for each in fetched]
            refuse_mixture(table.source_table, files)
            found = whole_schema(connection, files, table, scratch=out.scratch)
            if schema is not None and not _fits(found, schema):
                return None
            readers = readers_by_file(
                connection, files, table, scratch=out.scratch, schema=schema or found
            )
            parts = tuple(
                write(
                    connection, reader, out, primary_key=table.primary_key,
                    part=part_key(each.file.name),
                )
                for reader, each in zip(readers, fetched, strict=True)
            )  # fmt: skip
            rejected = JoinedRejects(readers, options, out.scratch).result()
        except (AgnesError, duckdb.Error, pa.ArrowException, OSError):
            check_all(fetched)
            raise
        check_all(fetched)
    notes = tuple(note for reader in readers for note in reader.notes)
    stamps = {each.file.name: each.stamp for each in fetched if each.stamp is not None}
    return ExtractResult(parts=parts, notes=notes, rejected=rejected), stamps


def check_all(fetched: Sequence[Fetched]) -> None:
    """Refuse files that changed since they were fetched.

    Raises:
        FileChangedError: one did.
    """
    for each in fetched:
        each.check()


def _known(request: ExtractRequest, way: str) -> Mapping[str, Stamp]:
    """Return the stamps of the files whose parts are in service and were read this way."""
    if request.state.get("way") != way:
        return {}
    keys = {part.key for part in request.current}
    stamps: Mapping[str, Any] = request.state.get("files", {})
    return {name: stamp for name, stamp in stamps.items() if part_key(name) in keys}


def _from_nothing(request: ExtractRequest) -> ExtractRequest:
    return ExtractRequest(table=request.table, current=request.current)


def _schema_in_service(request: ExtractRequest) -> pa.Schema:
    path: Path = request.current[0].path
    return canonical_schema(pq.read_schema(path))


def _fits(found: pa.Schema, schema: pa.Schema) -> bool:
    """Say whether all columns found are columns of the table, of the same types."""
    types = {field.name.lower(): field.type for field in schema}
    return all(types.get(field.name.lower()) == field.type for field in canonical_schema(found))
