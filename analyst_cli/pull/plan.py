"""What a pull has to do: the difference between a manifest and the files on disk."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from analyst_cli.errors import CliError
from analyst_cli.names import did_you_mean
from analyst_cli.pull import verify
from analyst_cli.pull.manifest import FileEntry, Manifest, TableEntry
from analyst_cli.pull.state import InstalledFile, State
from analyst_cli.workspace import Workspace


class UnknownTableError(CliError):
    """A table was named that the manifest does not list."""

    code = "table_not_found"


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file to bring: of which table, and where it waits until it is whole."""

    table: TableEntry
    file: FileEntry
    staged: Path


@dataclass(kw_only=True)
class Plan:
    """What is to be done. ``confirmed`` are files found right that the state did not know so."""

    downloads: list[Download] = field(default_factory=list)
    confirmed: dict[str, InstalledFile] = field(default_factory=dict)
    complete: list[TableEntry] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def bytes_to_download(self) -> int:
        """How much is still to come, without what earlier runs have staged."""
        return sum(max(0, d.file.size_bytes - staged_bytes(d)) for d in self.downloads)


def select(
    manifest: Manifest,
    *,
    names: Collection[str],
    installed: Collection[str],
    skip_materialized: bool,
) -> set[str]:
    """Return the tables whose files are wanted: those named, else the required and installed ones.

    Raises:
        UnknownTableError: the manifest lists no such table, or one without a file.
    """
    by_name = {name.lower(): name for name in manifest.tables}
    for name, entry in manifest.tables.items():
        for alias in entry.aliases:
            by_name.setdefault(alias.lower(), name)
    for name in names:
        if name.lower() not in by_name:
            hint = did_you_mean(name, by_name.values())
            raise UnknownTableError(f"There is no table named {name!r}.", hint=hint)
        if manifest.tables[by_name[name.lower()]].is_remote:
            raise UnknownTableError(
                f"The rows of {name!r} stay on the server: there is nothing to pull.",
                hint="`agnes catalog` shows the mode of each table.",
            )
    chosen = {by_name[name.lower()] for name in names} or {
        name for name, entry in manifest.tables.items() if entry.is_required or name in installed
    }
    return {
        name
        for name in chosen
        if not manifest.tables[name].is_remote
        and not (skip_materialized and manifest.tables[name].query_mode == "materialized")
    }


def make(workspace: Workspace, *, state: State, manifest: Manifest, wanted: set[str]) -> Plan:
    """Compare the wanted tables with the disk. After an unclean end every file is read again."""
    plan = Plan()
    staged_names: set[str] = set()
    for name in sorted(wanted):
        entry = manifest.tables[name]
        missing = [file for file in entry.files if not _is_there(workspace, state, file, plan)]
        for file in missing:
            staged = workspace.staging / _staged_name(file, staged_names)
            plan.downloads.append(Download(table=entry, file=file, staged=staged))
        if not missing:
            plan.complete.append(entry)
    listed = {problem.table for problem in manifest.problems} | {
        name for name, entry in manifest.tables.items() if not entry.is_remote
    }
    plan.removed = sorted(set(state.tables) - listed)
    return plan


def staged_bytes(download: Download) -> int:
    """Return how much of a download is already on disk."""
    try:
        return os.stat(download.staged).st_size  # noqa: PTH116 a Path costs more than the call
    except OSError:
        return 0


def _is_there(workspace: Workspace, state: State, file: FileEntry, plan: Plan) -> bool:
    path = workspace.parquet / file.path
    known = state.files.get(file.path)
    if known is not None and known.digest == file.digest and file.digest:
        if state.is_clean and verify.is_untouched(path, known):
            return True
    elif state.is_clean and known is not None and verify.is_untouched(path, known):
        return False
    if not verify.holds(path, file):
        return False
    plan.confirmed[file.path] = verify.record(path, digest=file.digest)
    return True


def _staged_name(file: FileEntry, taken: set[str]) -> str:
    algorithm, _, value = file.digest.partition(":")
    stem = {"sha256": value, "md5": f"md5-{value}"}.get(
        algorithm, f"unknown-{Path(file.path).stem}"
    )
    name, number = f"{stem}.part", 2
    while name in taken:
        name, number = f"{stem}.{number}.part", number + 1
    taken.add(name)
    return name
