"""The manifest: what one caller may download, and how it is recognised again."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    rows = _readable(user)
    entries = _entries(rows, takes_parts="parts" in able)
    return orjson.dumps(
        {
            "tables": entries,
            "waiting": sorted(rows.keys() - entries.keys()),
            "assets": {},
            "server_time": timezone.now().isoformat(),
        }
    )


class _Row(NamedTuple):
    """All that the entry of a table follows from; a version never changes, so its id is enough."""

    name: str
    alias: str | tuple[str, ...] | None
    version: str | None
    query_mode: str
    source_type: str
    stays: str
    tier: str

    @property
    def aliases(self) -> tuple[str, ...]:
        if self.alias is None:
            return ()
        return (self.alias,) if isinstance(self.alias, str) else self.alias


# A row as the database gives it: to make `_Row` of thousands takes longer than to ask for them.
_Found = tuple[Any, ...]


def _readable(user: User) -> dict[str, _Found]:
    """Return the tables that ``user`` may read, by name."""
    if readers.is_any_reader(user):
        found = _of_any_reader.rows(**readers.values(user))
    else:
        found = list(_listed(user))
    rows = {row[0]: row for row in found}
    if len(rows) < len(found):
        aliases: dict[str, list[str]] = defaultdict(list)
        for name, alias, *_ in found:
            aliases[name].append(alias)
        rows |= {
            name: (name, tuple(each), *rows[name][2:])
            for name, each in aliases.items()
            if len(each) > 1
        }
    return rows


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


# The entries that were made lately, oldest first; shared by all callers. Whether the client takes
# tables of several files belongs to what an entry follows from.
_made: dict[tuple[bool, _Found], orjson.Fragment] = {}
_MADE_AT_MOST = 50_000
_AT_ONCE = 1_000


def _entries(rows: Mapping[str, _Found], *, takes_parts: bool) -> dict[str, orjson.Fragment]:
    """Return the entries by name, as JSON; only those not made lately are asked for.

    A table without data has none, nor has one whose version has gone meanwhile.
    """
    entries, missing = {}, []
    for name, row in rows.items():
        made = _made.get((takes_parts, row))
        if made is None:
            missing.append(_Row(*row))
        else:
            entries[name] = made
    missing = [row for row in missing if row.version or row.query_mode == QueryMode.REMOTE]
    for start in range(0, len(missing), _AT_ONCE):
        new = _make(missing[start : start + _AT_ONCE], takes_parts=takes_parts)
        _remember({(takes_parts, row): entry for row, entry in new.items()})
        entries |= {row.name: entry for row, entry in new.items()}
    return entries


def _remember(new: Mapping[tuple[bool, _Found], orjson.Fragment]) -> None:
    _made.update(new)
    if len(_made) > _MADE_AT_MOST:
        # A list, since other threads add to it meanwhile.
        for row in list(_made)[:-_MADE_AT_MOST]:
            _made.pop(row, None)


def _make(rows: Sequence[_Row], *, takes_parts: bool) -> dict[_Row, orjson.Fragment]:
    ids = [row.version for row in rows if row.version is not None]
    versions = TableVersion.objects.defer("schema", "extract_state").in_bulk(ids)
    parts = _parts(ids)
    made = {}
    for row in rows:
        version = versions.get(UUID(row.version)) if row.version is not None else None
        if row.version is None or version is not None:
            of_version = parts[version.pk] if version else []
            entry = _entry(row, version, of_version, takes_parts=takes_parts)
            made[row] = orjson.Fragment(orjson.dumps(entry))
    return made


def _entry(
    row: _Row, version: TableVersion | None, parts: list[dict[str, Any]], *, takes_parts: bool
) -> dict[str, Any]:
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
        entry["parts"] = parts if takes_parts else []
        entry["sha256"], entry["hash"] = parts[0]["sha256"], parts[0]["md5"]
    elif takes_parts:
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
