"""What a workspace holds: the record that a pull leaves for the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analyst_cli.files import read_json, write_json
from analyst_cli.pull.manifest import TableEntry
from analyst_cli.workspace import Workspace

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class InstalledFile:
    """A file as it was when it was found to be right."""

    digest: str
    size_bytes: int
    mtime_ns: int


@dataclass(kw_only=True)
class InstalledTable:
    """A table whose files are in place; ``paths`` are below the folder of pulled files."""

    version: int
    rows: int
    query_mode: str
    source_type: str
    updated: str
    aliases: list[str]
    paths: list[str]


@dataclass(kw_only=True)
class State:
    """The record of a workspace.

    ``is_clean`` is false from the first change to the last. ``complete_etag`` is that of the
    manifest which the workspace holds all of; empty if something is left out or has failed.
    """

    is_clean: bool = True
    server: str = ""
    root: str = ""
    generation: int = 0
    pulled_at: str = ""
    complete_etag: str = ""
    database_stamp: list[int] = field(default_factory=list)
    files: dict[str, InstalledFile] = field(default_factory=dict)
    tables: dict[str, InstalledTable] = field(default_factory=dict)

    def save(self, workspace: Workspace) -> None:
        """Write the record, durably."""
        # Not `asdict`, which copies each value of each file and takes ten times as long.
        files = {path: vars(file) for path, file in self.files.items()}
        tables = {name: vars(table) for name, table in self.tables.items()}
        content = {"format": _FORMAT, **vars(self), "files": files, "tables": tables}
        write_json(_path(workspace), content)


def load(workspace: Workspace) -> State:
    """Return the record of a workspace; an unclean, empty one if there is none to be read."""
    raw = read_json(_path(workspace))
    if raw.pop("format", None) != _FORMAT:
        return State(is_clean=False)
    try:
        files = {path: InstalledFile(**file) for path, file in raw.pop("files").items()}
        tables = {name: InstalledTable(**table) for name, table in raw.pop("tables").items()}
        return State(files=files, tables=tables, **raw)
    except (AttributeError, KeyError, TypeError):
        return State(is_clean=False)


def installed(entry: TableEntry) -> InstalledTable:
    """Return the record of a table whose files are all in place."""
    return InstalledTable(
        version=entry.version,
        rows=entry.rows,
        query_mode=entry.query_mode,
        source_type=entry.source_type,
        updated=entry.updated,
        aliases=list(entry.aliases),
        paths=[file.path for file in entry.files],
    )


def save_manifest(workspace: Workspace, *, server: str, etag: str, body: dict[str, Any]) -> None:
    """Keep a manifest, so that "not modified" can be compared with the files on disk."""
    kept_body = {"tables": body["tables"], "waiting": body.get("waiting") or []}
    kept = {"server": server, "etag": etag, "body": kept_body}
    write_json(workspace.own / "manifest.json", kept)


def load_manifest(workspace: Workspace, *, server: str) -> tuple[str, dict[str, Any]]:
    """Return the ETag and body of the manifest kept for ``server``; both empty if none is."""
    kept = read_json(workspace.own / "manifest.json")
    body = kept.get("body")
    if kept.get("server") != server or not isinstance(body, dict):
        return "", {}
    return str(kept.get("etag") or ""), body if isinstance(body.get("tables"), dict) else {}


def touch_manifest(workspace: Workspace) -> None:
    """Remember that the server has confirmed the kept manifest just now."""
    (workspace.own / "manifest.json").touch()


def confirmed_at(workspace: Workspace) -> datetime | None:
    """Return when the server last sent or confirmed a manifest."""
    try:
        seconds = (workspace.own / "manifest.json").stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC)


def _path(workspace: Workspace) -> Path:
    return workspace.own / "state.json"
