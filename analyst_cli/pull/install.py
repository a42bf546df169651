"""Making verified downloads visible: files, then the local database, then the record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from analyst_cli.failpoints import failpoint
from analyst_cli.files import as_utf8, explain, sync_folder
from analyst_cli.names import is_single_segment
from analyst_cli.pull import generation, verify
from analyst_cli.pull.manifest import Problem
from analyst_cli.pull.plan import Download
from analyst_cli.pull.state import InstalledFile, InstalledTable, State
from analyst_cli.workspace import Workspace


def is_current(workspace: Workspace, *, before: State, after: State) -> bool:
    """Say whether ``after`` asks for nothing that is not on disk already."""
    return (
        before.is_clean
        and before.tables == after.tables
        and not _stale_paths(after)
        and _is_untouched(workspace, after)
        and before.root == as_utf8(workspace.root)
        and verify.stamp(workspace.database) == before.database_stamp != []
        and generation.is_intact(workspace, after)
    )


def install(
    workspace: Workspace,
    *,
    before: State,
    after: State,
    ready: list[Download],
    checked: Collection[str],
    unfinished: Collection[str],
    note: Callable[[str], None],
) -> list[Problem]:
    """Bring the workspace from ``before`` to ``after`` and complete the record of the latter.

    ``checked`` tables need no second look; ``unfinished`` downloads stay in the staging folder.
    Returns a problem for each table that could not be made visible.
    """
    was_clean = before.is_clean
    before.complete_etag = ""
    _open_record(workspace, before, ready)
    problems = _replace_files(workspace, after=after, ready=ready)
    for problem in problems:
        del after.tables[problem.table]
        if problem.table in before.tables:
            after.tables[problem.table] = before.tables[problem.table]
    sound = {*checked, *(download.table.name for download in ready)} - {p.table for p in problems}
    for name in [name for name in after.tables if name not in sound]:
        if not _is_usable(workspace, before, after.tables[name], was_clean=was_clean):
            del after.tables[name]
    spared = {path for table in after.tables.values() for path in table.paths}
    problems += switch(workspace, state=after, known=before, note=note)
    revoked = [path for name in set(before.tables) - set(after.tables) - {p.table for p in problems}
               for path in before.tables[name].paths]  # fmt: skip
    if problems:
        after.complete_etag = ""
    generation.drop_files(workspace, set(revoked) - spared)
    failpoint("pull.revoked")
    _prune_files(workspace, [path for path in _stale_paths(after) if path not in spared])
    after.files = {path: file for path, file in after.files.items() if path in spared}
    _sweep_staging(workspace, unfinished)
    if after.generation:
        # Whoever has the last database open still reads the files of its generation.
        generation.drop_before(workspace, before.generation)
    failpoint("pull.pruned")
    _close_record(workspace, after)
    return problems


def relocate(workspace: Workspace, *, state: State, note: Callable[[str], None]) -> None:
    """Build the local database again, for a workspace that was moved. Needs the lock."""
    after = State(**vars(state))
    state.is_clean = False
    state.save(workspace)
    switch(workspace, state=after, known=state, note=note)
    _close_record(workspace, after)


def switch(
    workspace: Workspace, *, state: State, known: State, note: Callable[[str], None]
) -> list[Problem]:
    """Link a new generation, build its database and put it in place.

    Tables that DuckDB cannot read leave ``state`` and are returned as problems.
    """
    from analyst_cli.pull import database

    paths = [path for table in state.tables.values() for path in table.paths]
    state.generation = generation.create(workspace, known, paths=paths)
    failpoint("pull.files_linked")
    aside = database.keep_foreign(workspace, known)
    if aside is not None:
        failpoint("pull.foreign_kept")
        note(f"The local database held tables of yours; it is kept as {aside.name}.")
    problems = database.build(workspace, tables=state.tables, number=state.generation)
    for problem in problems:
        del state.tables[problem.table]
    return problems


def _open_record(workspace: Workspace, before: State, ready: list[Download]) -> None:
    """Record that work is going on, and which files will be ours, before the first change."""
    before.is_clean = False
    for download in ready:
        unknown = InstalledFile(digest="", size_bytes=0, mtime_ns=0)
        before.files.setdefault(download.file.path, unknown)
    before.save(workspace)
    failpoint("pull.state_opened")


def _close_record(workspace: Workspace, after: State) -> None:
    after.is_clean = True
    after.root = as_utf8(workspace.root)
    after.database_stamp = verify.stamp(workspace.database)
    after.pulled_at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    after.save(workspace)
    failpoint("pull.state_written")


def _replace_files(workspace: Workspace, *, after: State, ready: list[Download]) -> list[Problem]:
    problems: dict[str, Problem] = {}
    folders: set[Path] = set()
    for download in ready:
        target, name = workspace.parquet / download.file.path, download.table.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            download.staged.replace(target)
        except OSError as error:
            explained = explain(error)
            problems[name] = Problem(
                table=name, code=explained.code, message=explained.message, hint=explained.hint
            )
        else:
            after.files[download.file.path] = verify.record(target, digest=download.file.digest)
            folders.add(target.parent)
            failpoint("pull.file_replaced")
    for folder in {*folders, *(folder.parent for folder in folders)}:
        sync_folder(folder)
    return list(problems.values())


def _is_usable(
    workspace: Workspace, before: State, table: InstalledTable, *, was_clean: bool
) -> bool:
    """Say whether the files of a table that is not renewed are still the good ones."""
    for path in table.paths:
        target, known = workspace.parquet / path, before.files.get(path)
        is_good = was_clean and verify.is_untouched(target, known)
        if not is_good and not verify.still_holds(target, known):
            return False
    return True


def _is_untouched(workspace: Workspace, state: State) -> bool:
    """Say whether the files of all tables look as they did when they were found to be right."""
    return all(
        verify.is_untouched(workspace.parquet / path, state.files.get(path))
        for table in state.tables.values()
        for path in table.paths
    )


def _stale_paths(state: State) -> list[str]:
    used = {path for table in state.tables.values() for path in table.paths}
    return sorted(set(state.files) - used)


def _prune_files(workspace: Workspace, paths: Iterable[str]) -> None:
    """Delete files that a pull has made, and the folders that are empty then.

    A folder that somebody has put in the place of one stays.
    """
    for path in paths:
        if all(is_single_segment(segment) for segment in path.split("/")):
            target = workspace.parquet / path
            if target.is_dir() and not target.is_symlink():
                continue
            target.unlink(missing_ok=True)
            if target.parent != workspace.parquet:
                with contextlib.suppress(OSError):  # it is not empty yet, or gone already
                    target.parent.rmdir()


def _sweep_staging(workspace: Workspace, unfinished: Collection[str]) -> None:
    """Delete what no download will continue."""
    if not workspace.staging.exists():
        return
    for path in workspace.staging.iterdir():
        if path.name not in unfinished:
            path.unlink()
    if not unfinished:
        workspace.staging.rmdir()
