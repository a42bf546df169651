"""Whether a pull has nothing to do, found out with as little work as possible.

This runs at the start of every session of an agent. It reads the record as plain JSON and
imports nothing that only a pull with work needs.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from analyst_cli.files import as_utf8, read_json
from analyst_cli.pull.result import Result
from analyst_cli.workspace import Workspace


def read_record(workspace: Workspace) -> dict[str, Any]:
    """Return the record of a workspace as it is on disk."""
    return read_json(workspace.own / "state.json")


def complete_etag(record: dict[str, Any], *, server: str) -> str:
    """Return the ETag of the manifest that the workspace holds all of, or an empty text."""
    return str(record.get("complete_etag") or "") if record.get("server") == server else ""


def is_whole(workspace: Workspace, record: dict[str, Any]) -> bool:
    """Say whether all that the record names is on disk as the last pull left it."""
    if not record.get("is_clean") or record.get("root") != as_utf8(workspace.root):
        return False
    parquet, generation = str(workspace.parquet), record["generation"]
    linked = str(workspace.generations / str(generation))
    try:
        database = os.stat(workspace.database)  # noqa: PTH116 a Path costs more than the call
        if [database.st_size, database.st_mtime_ns] != record["database_stamp"]:
            return False
        for path, file in record["files"].items():
            found = os.lstat(f"{parquet}/{path}")
            if found.st_mtime_ns != file["mtime_ns"] or found.st_size != file["size_bytes"]:
                return False
            if not stat.S_ISREG(found.st_mode):
                return False
            if generation and not os.path.samestat(found, os.lstat(f"{linked}/{path}")):
                return False
    except OSError:
        return False
    return True


def result(workspace: Workspace, record: dict[str, Any]) -> Result:
    """Return what a pull says that had nothing to do, and remember that it asked."""
    os.utime(workspace.own / "manifest.json")
    _end_last_generation(workspace, record["generation"])
    return Result(
        parquets_total=len(record["files"]),
        rows_total=sum(table["rows"] for table in record["tables"].values()),
        not_modified=True,
    )


def _end_last_generation(workspace: Workspace, present: int) -> None:
    if present and len(os.listdir(workspace.generations)) > 1:  # noqa: PTH208 as above
        from analyst_cli.pull import generation

        generation.drop_before(workspace, present)
