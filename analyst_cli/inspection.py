"""What a workspace holds, and whether it is all there."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from analyst_cli.files import as_utf8
from analyst_cli.pull import verify
from analyst_cli.pull.state import InstalledTable, State, confirmed_at, load
from analyst_cli.workspace import Workspace


@dataclass(kw_only=True)
class Inspection:
    """The findings, under the names that `--json` prints."""

    workspace: str
    server: str
    initialized: bool
    duckdb_exists: bool
    last_synced: str | None
    parquet_tables: int = 0
    rows: int = 0
    bytes: int = 0
    tables: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def inspect(workspace: Workspace, *, server: str) -> Inspection:
    """Look at the record of a workspace and at its files; change nothing."""
    state = load(workspace)
    was_pulled = bool(state.root)
    at = confirmed_at(workspace)
    found = Inspection(
        workspace=as_utf8(workspace.root),
        server=server or state.server,
        initialized=workspace.init_complete.exists(),
        duckdb_exists=workspace.database.exists(),
        last_synced=at.isoformat(timespec="seconds") if was_pulled and at else None,
    )
    for name, table in state.tables.items():
        described = _describe(workspace, state, name, table)
        found.tables.append(described)
        found.rows += table.rows
        found.bytes += described["bytes"]
        if described["state"] != "ok":
            found.problems.append(f"The file of {name!r} is {described['state']}.")
    found.parquet_tables = len(found.tables)
    if was_pulled and not found.duckdb_exists:
        found.problems.append("The local database is missing.")
    if was_pulled and not state.is_clean:
        found.problems.append("The last pull did not end.")
    return found


def _describe(
    workspace: Workspace, state: State, name: str, table: InstalledTable
) -> dict[str, Any]:
    files = [state.files.get(path) for path in table.paths]
    return {
        "name": name,
        "rows": table.rows,
        "bytes": sum(file.size_bytes for file in files if file is not None),
        "version": table.version,
        "query_mode": table.query_mode,
        "updated": table.updated,
        "state": _state(workspace, state, table),
    }


def _state(workspace: Workspace, state: State, table: InstalledTable) -> str:
    for path in table.paths:
        target, known = workspace.parquet / path, state.files.get(path)
        if not target.is_file():
            return "missing"
        if not verify.is_untouched(target, known) and not verify.still_holds(target, known):
            return "damaged"
    return "ok"
