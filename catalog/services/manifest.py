"""The manifest: what one caller may download, and how it is recognised again."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import orjson
from django.utils import timezone

from access.auth import Caller
from access.models import Grant, Tier, User
from catalog.connectors import QueryMode
from catalog.models import Table, TableName, TablePart

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
    waiting: list[str] = []
    entries = dict(_entries(user, waiting, takes_parts="parts" in able))
    return orjson.dumps(
        {
            "tables": entries, "waiting": waiting, "assets": {},
            "server_time": timezone.now().isoformat(),
        }
    )  # fmt: skip


_FIELDS = (
    "pk", "name", "query_mode", "server_only", "source__source_type", "source__slug",
    "folder__slug", "current_version__pk", "current_version__number", "current_version__rows",
    "current_version__bytes", "current_version__created_at", "current_version__schema_hash",
    "current_version__combined_sha256", "current_version__combined_md5",
    "current_version__combined_bytes",
)  # fmt: skip
_VERSION = _FIELDS.index("current_version__pk")


def _entries(
    user: User, waiting: list[str], *, takes_parts: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and entry of what there is; add to ``waiting`` what has no data yet."""
    readable = Table.objects.readable_by(user)
    rows = list(readable.order_by("name").values_list(*_FIELDS))
    parts = _parts(version__in=readable.values("current_version"))
    # A table that was published anew between the two questions is shown as it was at the first.
    passed = {row[_VERSION] for row in rows if row[_VERSION]} - parts.keys()
    if passed:
        parts |= _parts(version__in=passed)
    aliases = _aliases(readable)
    required = _Required(user)
    for (
        pk, name, mode, server_only, source_type, source, folder, version, number, count, size,
        updated, schema_hash, combined_sha256, combined_md5, combined_bytes,
    ) in rows:  # fmt: skip
        if version is None and mode != QueryMode.REMOTE:
            waiting.append(name)
            continue
        entry: dict[str, Any] = {
            "hash": "", "updated": updated, "size_bytes": size or 0, "rows": count or 0,
            "query_mode": mode, "source_type": source_type, "version": number, "sha256": "",
            "parts": [], "schema_hash": schema_hash, "aliases": aliases.get(pk, []),
            "tier": Tier.REQUIRED if required.covers(name, folder, source) else Tier.AVAILABLE,
        }  # fmt: skip
        own_parts = parts.get(version, []) if version else []
        if server_only or mode == QueryMode.REMOTE:
            entry["query_mode"] = QueryMode.REMOTE
        elif len(own_parts) == 1:
            entry["parts"] = own_parts if takes_parts else []
            entry["sha256"], entry["hash"] = own_parts[0]["sha256"], own_parts[0]["md5"]
        elif takes_parts:
            entry["parts"] = own_parts
        elif combined_sha256:
            entry.update(sha256=combined_sha256, hash=combined_md5, size_bytes=combined_bytes)
        else:
            entry["query_mode"] = QueryMode.REMOTE
        yield name, entry


def _parts(**chosen: Any) -> dict[UUID, list[dict[str, Any]]]:
    grouped: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    rows = (
        TablePart.objects.filter(**chosen)
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


def _aliases(readable: Any) -> Mapping[UUID, list[str]]:
    grouped: dict[UUID, list[str]] = defaultdict(list)
    names = TableName.objects.filter(is_alias=True, table__in=readable.values("pk"))
    for table, name in names.order_by("name").values_list("table_id", "name"):
        grouped[table].append(name)
    return grouped


class _Required:
    """Which tables reach every laptop of the caller, and which only when asked for."""

    def __init__(self, user: User) -> None:
        self._everything = user.is_admin
        held = Grant.objects.held_by(user).filter(tier=Tier.REQUIRED)
        self._held = set(held.values_list("resource_type", "resource_id"))

    def covers(self, table: str, folder: str | None, source: str) -> bool:
        return (
            self._everything
            or ("table", table) in self._held
            or ("source", source) in self._held
            or (folder is not None and ("folder", folder) in self._held)
        )
