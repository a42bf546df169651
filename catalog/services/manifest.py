"""The manifest: what one caller may download, and how it is recognised again."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import Case, FilteredRelation, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast
from django.utils import timezone

from access.auth import Caller
from access.models import User
from access.models.grant import Moment
from agnes_site.core.prepared import PreparedQuery
from catalog.connectors import QueryMode
from catalog.models import Table, TablePart, TableVersion
from catalog.services import readers

# Counts changes of the shape of the answer, so that old copies are not taken for new ones.
FORMAT = 2


def capabilities(client_header: str) -> frozenset[str]:
    """Return what a client announced: ``agnes/1.0.0; parts`` announces ``parts``."""
    _, _, announced = client_header.partition(";")
    return frozenset(word.strip().lower() for word in announced.split(",")) & {"parts"}


def etag(caller: Caller, able: frozenset[str]) -> str:
    """Return the strong ETag of a caller's manifest, without making the manifest."""
    text = f"{FORMAT}|{caller.fingerprint}|{','.join(sorted(able))}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def render(user: User, able: frozenset[str]) -> bytes:
    """Return the manifest of ``user`` as JSON, in time proportional to the tables they may read."""
    rows, waiting = _readable(user, takes_parts="parts" in able)
    entries = _entries(rows)
    return orjson.dumps(
        {
            "tables": {name: orjson.Fragment(entries[name]) for name in rows if name in entries},
            "waiting": sorted([*waiting, *(rows.keys() - entries.keys())]),
            "assets": {},
            "server_time": timezone.now().isoformat(),
        }
    )


class _Row(NamedTuple):
    """All that the entry of a table follows from; a version never changes, so its id is enough."""

    version: str | None
    query_mode: str
    source_type: str
    stays: str
    tier: str
    takes_parts: bool
    aliases: tuple[str, ...]


def _readable(user: User, *, takes_parts: bool) -> tuple[dict[str, _Row], list[str]]:
    """Return the tables that ``user`` may read, by name, and those that have no data yet."""
    if readers.is_any_reader(user):
        found = _of_any_reader.rows(**readers.values(user))
    else:
        found = list(_listed(user))
    rows: dict[str, _Row] = {}
    waiting = []
    for name, alias, version, query_mode, source_type, stays, tier in found:
        if version is None and query_mode != QueryMode.REMOTE:
            waiting.append(name)
            continue
        aliases = (*(rows[name].aliases if name in rows else ()), alias) if alias else ()
        rows[name] = _Row(version, query_mode, source_type, stays, tier, takes_parts, aliases)
    return rows, waiting


def _listed(user: User, at: Moment | None = None) -> QuerySet[Table, Any]:
    return (
        Table.objects.readable_by(user, at)
        .with_tier(user, at)
        .annotate(
            alias=FilteredRelation("names", condition=Q(names__is_alias=True)),
            # All is text: making objects of it would take longer than the query itself.
            version=Cast("current_version_id", TextField()),
            stays=Case(When(server_only=True, then=Value("stays")), default=Value("")),
        )
        .order_by("name", "alias__name")
        .values_list(
            "name", "alias__name", "version", "query_mode", "source__source_type", "stays", "tier"
        )
    )


_of_any_reader = PreparedQuery(lambda: _listed(readers.any_reader(), readers.NOW))


# The entries that were made lately, as JSON, oldest first; shared by all callers.
_made: dict[_Row, bytes] = {}
_MADE_AT_MOST = 50_000
_AT_ONCE = 1_000


def _entries(rows: Mapping[str, _Row]) -> dict[str, bytes]:
    """Return the entries by name, as JSON; only those not made lately are asked for.

    One whose version has gone meanwhile is left out.
    """
    entries, missing = {}, {}
    for name, row in rows.items():
        made = _made.get(row)
        if made is None:
            missing[name] = row
        else:
            entries[name] = made
    names = list(missing)
    for start in range(0, len(names), _AT_ONCE):
        batch = {name: missing[name] for name in names[start : start + _AT_ONCE]}
        new = _make(set(batch.values()))
        _remember(new)
        entries |= {name: new[row] for name, row in batch.items() if row in new}
    return entries


def _remember(new: Mapping[_Row, bytes]) -> None:
    _made.update(new)
    if len(_made) > _MADE_AT_MOST:
        # A list, since other threads add to it meanwhile.
        for row in list(_made)[:-_MADE_AT_MOST]:
            _made.pop(row, None)


def _make(rows: Collection[_Row]) -> dict[_Row, bytes]:
    ids = [row.version for row in rows if row.version is not None]
    versions = TableVersion.objects.defer("schema", "extract_state").in_bulk(ids)
    parts = _parts(ids)
    made = {}
    for row in rows:
        version = versions.get(UUID(row.version)) if row.version is not None else None
        if row.version is None or version is not None:
            made[row] = orjson.dumps(_entry(row, version, parts[version.pk] if version else []))
    return made


def _entry(row: _Row, version: TableVersion | None, parts: list[dict[str, Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "hash": "", "updated": None, "size_bytes": 0, "rows": 0, "query_mode": row.query_mode,
        "source_type": row.source_type, "version": None, "sha256": "", "parts": [],
        "schema_hash": None, "aliases": row.aliases,
        "tier": row.tier,
    }  # fmt: skip
    if version is not None:
        entry |= {
            "updated": version.created_at, "size_bytes": version.bytes, "rows": version.rows,
            "version": version.number, "schema_hash": version.schema_hash,
        }  # fmt: skip
    if row.stays or version is None or row.query_mode == QueryMode.REMOTE:
        entry["query_mode"] = QueryMode.REMOTE
    elif len(parts) == 1:
        entry["parts"] = parts if row.takes_parts else []
        entry["sha256"], entry["hash"] = parts[0]["sha256"], parts[0]["md5"]
    elif row.takes_parts:
        entry["parts"] = parts
    elif version.combined_sha256:
        entry |= {
            "sha256": version.combined_sha256, "hash": version.combined_md5,
            "size_bytes": version.combined_bytes,
        }  # fmt: skip
    else:
        entry["query_mode"] = QueryMode.REMOTE
    return entry


def _parts(versions: Sequence[str]) -> dict[UUID, list[dict[str, Any]]]:
    grouped: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    rows = (
        TablePart.objects.filter(version__in=versions)
        .order_by("version", "ordinal")
        .values_list("version_id", "ordinal", "key", "sha256", "md5", "bytes", "rows")
    )
    for version, ordinal, key, sha256, md5, size, count in rows:
        grouped[version].append(
            {
                "ordinal": ordinal, "key": key, "sha256": sha256, "md5": md5,
                "size_bytes": size, "rows": count,
            }
        )  # fmt: skip
    return grouped
