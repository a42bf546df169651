"""The files that make a folder a workspace, beside the data itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from analyst_cli import VERSION
from analyst_cli.client import AgnesClient, NotAgnesError
from analyst_cli.errors import CliError
from analyst_cli.failpoints import failpoint
from analyst_cli.files import sync_folder, write_json, write_text
from analyst_cli.workspace import Workspace

GUIDE = """\
# This folder is an Agnes workspace

It holds the tables of your company that you may read, as files on this computer, and a database
to query them without a network.

| Path | What it is | Yours to change? |
|---|---|---|
| `CLAUDE.md` | instructions for your AI agent | no: `agnes init --force` renews it |
| `server/parquet/` | a Parquet file (or a folder) per table | no: `agnes pull` restores it |
| `user/duckdb/analytics.duckdb` | a view per table | no: `agnes pull` builds it anew |
| `user/duckdb/user.duckdb` | your own tables, if you make it | yes, nothing else touches it |
| `.agnes/` | records of the last pull | no |
| `.claude/` | settings of your AI agent | yes |

## Every day

    agnes pull                                  bring what has changed
    agnes catalog                               see which tables there are
    agnes query "SELECT count(*) FROM orders"   ask a question
    agnes status                                see what is here and whether it is whole

A table that you may not read any more is removed by the next `agnes pull`.
You may move this folder: the next command notices.

## To remove it

Delete this folder. `agnes auth logout` forgets your token.
"""


class AlreadyCompleteError(CliError):
    """The folder is a complete workspace already."""

    code = "partial_state"
    hint = "Run `agnes pull` to update it, or `agnes init --force` to set it up again."


def check_free(workspace: Workspace, *, is_forced: bool) -> None:
    """Refuse a folder in which `agnes init` got to its end, unless forced.

    Raises:
        AlreadyCompleteError: it did.
    """
    if workspace.init_complete.exists() and not is_forced:
        raise AlreadyCompleteError(f"{workspace.root} is a workspace already.")


def write_guides(workspace: Workspace, client: AgnesClient) -> list[Path]:
    """Write what people and agents read first; return the copies of files that were there."""
    welcome = client.get_json("/api/welcome", server_url=client.server).get("content")
    if not isinstance(welcome, str):
        raise NotAgnesError(f"{client.server} did not send the instructions for the workspace.")
    now = datetime.now(tz=UTC)
    texts = {"CLAUDE.md": welcome, "AGNES_WORKSPACE.md": GUIDE}
    copies = []
    for name, text in texts.items():
        path = workspace.root / name
        copy = _set_aside(path, text, now=now)
        if copy is not None:
            copies.append(copy)
            failpoint("init.guide_kept")
        write_text(path, text)
        failpoint("init.guide_written")
    return copies


def complete(workspace: Workspace, *, server: str) -> None:
    """Record that the workspace is complete."""
    content = {
        "completed_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "agnes_version": VERSION,
        "server_url": server,
    }
    write_json(workspace.init_complete, content)


def _set_aside(path: Path, text: str, *, now: datetime) -> Path | None:
    """Return a copy of a file that is about to change; an older copy is never overwritten."""
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        return None
    if present == text.encode():
        return None
    for copy in sorted(path.parent.glob(f"{path.name}.bak.*")):
        if copy.is_file() and copy.read_bytes() == present:
            return copy  # whoever made it was ended before the file changed
    copy, number = path.with_name(f"{path.name}.bak.{now:%Y%m%dT%H%M%SZ}"), 2
    while copy.exists():
        copy = path.with_name(f"{path.name}.bak.{now:%Y%m%dT%H%M%SZ}-{number}")
        number += 1
    beside = path.with_name(f".{path.name}.bak.new")
    with beside.open("wb") as file:
        file.write(present)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(copy)
    sync_folder(path.parent)
    return copy
