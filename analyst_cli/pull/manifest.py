"""The manifest, checked: which tables the caller may have, and the files of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from analyst_cli.names import is_single_segment

_HEX = re.compile(r"[0-9a-f]+")
_HEX_LENGTHS = {"sha256": 64, "md5": 32}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why one table is not up to date."""

    table: str
    code: str
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what `--json` prints."""
        return {
            "table": self.table, "code": self.code, "message": self.message, "hint": self.hint,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a table: where it belongs and what must be in it.

    ``digest`` is ``sha256:…`` (``md5:…`` from a server without parts), or empty if unknown.
    """

    path: str
    digest: str
    size_bytes: int
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """One table of the manifest. ``files`` is empty when its rows stay on the server.

    A table that is not required is brought when it is asked for, and kept up to date from then on.
    """

    name: str
    version: int
    rows: int
    query_mode: str
    source_type: str
    updated: str
    is_required: bool
    aliases: tuple[str, ...]
    files: tuple[FileEntry, ...]

    @property
    def is_remote(self) -> bool:
        """Whether there is nothing to download."""
        return not self.files


@dataclass(kw_only=True)
class Manifest:
    """The tables that can be used, and what is wrong with the others."""

    tables: dict[str, TableEntry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read(body: dict[str, Any]) -> Manifest:
    """Read the body of an answer. What is wrong with one table does not touch the others."""
    manifest = Manifest()
    taken: dict[str, str] = {}
    for name, entry in body["tables"].items():
        other = taken.setdefault(name.lower(), name)
        try:
            if other != name:
                raise ValueError(f"its name differs from {other!r} by case alone")
            manifest.tables[name] = _table(name, entry)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            problem = Problem(
                table=name,
                code="invalid_manifest_entry",
                message=f"The server's entry for {name!r} cannot be used: {error}.",
                hint="Tell the administrator of the server.",
            )
            manifest.problems.append(problem)
    return manifest


def _table(name: str, entry: dict[str, Any]) -> TableEntry:
    if not is_single_segment(name):
        raise ValueError("its name cannot be the name of a file")
    aliases = [alias for alias in entry.get("aliases") or () if isinstance(alias, str) and alias]
    is_remote = entry.get("query_mode") == "remote"
    return TableEntry(
        name=name,
        version=int(entry.get("version") or 0),
        rows=int(entry.get("rows") or 0),
        query_mode=str(entry.get("query_mode") or "local"),
        source_type=str(entry.get("source_type") or ""),
        updated=str(entry.get("updated") or ""),
        is_required=entry.get("tier") != "available",
        aliases=tuple(alias for alias in aliases if "\0" not in alias),
        files=() if is_remote else _files(name, entry),
    )


def _files(name: str, entry: dict[str, Any]) -> tuple[FileEntry, ...]:
    parts: list[dict[str, Any]] = sorted(
        entry.get("parts") or (), key=lambda part: int(part["ordinal"])
    )
    if len(parts) <= 1:
        only = parts[0] if parts else {}
        digest = _digest("sha256", only.get("sha256") or entry.get("sha256"))
        size_bytes = int(only.get("size_bytes") or entry.get("size_bytes") or 0)
        digest = digest or _digest("md5", entry.get("hash"))
        return (FileEntry(path=f"{name}.parquet", digest=digest, size_bytes=size_bytes),)
    files = tuple(_part(name, part) for part in parts)
    if len({file.path.lower() for file in files}) != len(files):
        raise ValueError("two of its parts have the same name")
    return files


def _part(name: str, part: dict[str, Any]) -> FileEntry:
    key = part.get("key") or ""
    ordinal = int(part["ordinal"])
    stem = f"{ordinal}-{key}" if key else f"{ordinal}"
    if ordinal < 0 or not is_single_segment(f"{stem}.parquet"):
        raise ValueError(f"the name of its part {stem!r} cannot be the name of a file")
    digest = _digest("sha256", part["sha256"])
    if not digest:
        raise ValueError("a part has no hash")
    return FileEntry(
        path=f"{name}/{stem}.parquet",
        digest=digest,
        size_bytes=int(part.get("size_bytes") or 0),
        part=digest.partition(":")[2],
    )


def _digest(algorithm: str, value: Any) -> str:
    if not value:
        return ""
    text = str(value).lower()
    if not _HEX.fullmatch(text) or len(text) != _HEX_LENGTHS[algorithm]:
        raise ValueError(f"{text[:20]!r} is not a hash")
    return f"{algorithm}:{text}"
