"""The local database: a view per table and alias, built beside and switched by a rename."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from analyst_cli.failpoints import failpoint
from analyst_cli.files import as_utf8, sync_file, sync_folder
from analyst_cli.pull import generation
from analyst_cli.pull.manifest import Problem
from analyst_cli.pull.state import InstalledTable, State
from analyst_cli.pull.verify import stamp
from analyst_cli.sql import quote_identifier, quote_literals
from analyst_cli.workspace import Workspace


def build(workspace: Workspace, *, tables: dict[str, InstalledTable], number: int) -> list[Problem]:
    """Replace the local database by one over a generation of files.

    Returns a problem for each table that DuckDB cannot read; the others have their views.
    """
    workspace.database.parent.mkdir(parents=True, exist_ok=True)
    beside = workspace.database.with_name(workspace.database.name + ".new")
    for leftover in (beside, _log_of(beside)):
        leftover.unlink(missing_ok=True)
    files = generation.folder(workspace, number)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": "1",
        "autoinstall_known_extensions": "false",
    }
    with duckdb.connect(as_utf8(beside), config=settings) as connection:
        problems = _create_views(connection, tables=tables, files=files)
    sync_file(beside)
    failpoint("pull.database_written")
    # DuckDB would try to apply a log that another program left to the new file.
    _log_of(workspace.database).unlink(missing_ok=True)
    beside.replace(workspace.database)
    sync_folder(workspace.database.parent)
    failpoint("pull.database_switched")
    return problems


def keep_foreign(workspace: Workspace, state: State) -> Path | None:
    """Keep a database that holds tables which no pull made, aside; return where.

    It stays in place as well, for whoever asks before the new one is there.
    """
    if stamp(workspace.database) in ([], state.database_stamp):
        return None
    if not _has_tables(workspace.database):
        return None
    now = datetime.now(tz=UTC)
    stem = f"analytics-{now:%Y%m%dT%H%M%S}"
    aside, number = workspace.database.with_name(f"{stem}.duckdb"), 2
    for kept in aside.parent.glob("analytics-*.duckdb"):
        if kept.samefile(workspace.database):
            return kept
    while aside.exists():
        aside, number = aside.with_name(f"{stem}-{number}.duckdb"), number + 1
    try:
        os.link(workspace.database, aside)
    except OSError:  # a file system without hard links
        workspace.database.rename(aside)
    return aside


def _create_views(
    connection: duckdb.DuckDBPyConnection, *, tables: dict[str, InstalledTable], files: Path
) -> list[Problem]:
    """Create all of them in one transaction; where that fails, those that can be, one by one."""
    sources = {name: _source(table, files) for name, table in tables.items()}
    try:
        connection.begin()
        for name, source in sources.items():
            _create_view(connection, name, source)
        _create_aliases(connection, tables)
        connection.commit()
    except duckdb.Error:
        connection.rollback()
    else:
        return []
    problems = []
    for name, source in sources.items():
        try:
            _create_view(connection, name, source)
        except duckdb.Error as error:
            problems.append(_unreadable(name, error))
    unreadable = {problem.table for problem in problems}
    readable = {name: table for name, table in tables.items() if name not in unreadable}
    _create_aliases(connection, readable)
    return problems


def _source(table: InstalledTable, files: Path) -> str:
    paths = quote_literals(as_utf8(files / path) for path in table.paths)
    # Without hive_partitioning=false a folder like `x=1` above the workspace adds a column.
    source = f"read_parquet({paths}, hive_partitioning=false"
    return source + (", union_by_name=true)" if len(table.paths) > 1 else ")")


def _create_aliases(
    connection: duckdb.DuckDBPyConnection, tables: dict[str, InstalledTable]
) -> None:
    taken = {name.lower() for name in tables}
    for name, table in tables.items():
        for alias in table.aliases:
            if alias.lower() not in taken:
                _create_view(connection, alias, quote_identifier(name))
                taken.add(alias.lower())


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, source: str) -> None:
    connection.execute(f"CREATE VIEW {quote_identifier(name)} AS FROM {source}")


def _unreadable(name: str, error: duckdb.Error) -> Problem:
    return Problem(
        table=name,
        code="unreadable_file",
        message=f"DuckDB cannot read the file of {name!r}: {str(error).splitlines()[0]}",
        hint="Tell the administrator of the server.",
    )


def _has_tables(path: Path) -> bool:
    """Say whether a database holds tables; one that cannot be opened may well do."""
    try:
        with duckdb.connect(as_utf8(path), read_only=True) as connection:
            found = connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchone()
    except duckdb.Error:
        return path.stat().st_size > 0
    return found is not None


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
