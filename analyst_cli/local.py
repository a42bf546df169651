"""The local database, opened for reading."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyst_cli.errors import CliError
from analyst_cli.files import as_utf8
from analyst_cli.interrupts import import_whole
from analyst_cli.names import did_you_mean
from analyst_cli.pull import install
from analyst_cli.pull.state import load, load_manifest
from analyst_cli.sql import quote_literal
from analyst_cli.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_MISSING = re.compile(r"Table with name (.+?) does not exist")


class NoDataError(CliError):
    """The workspace holds no local database yet."""

    code = "no_data"
    hint = "Run `agnes pull` to download the tables you may read."


class DatabaseError(CliError):
    """The local database cannot be opened."""

    code = "database_unusable"
    hint = "Run `agnes pull`: it builds the local database again."


class QueryError(CliError):
    """DuckDB refused a statement."""

    code = "query_error"


def connect(workspace: Workspace, *, note: Callable[[str], None]) -> duckdb.DuckDBPyConnection:
    """Open the local database read-only, with the user's own tables attached as ``user``.

    In a workspace that was moved its views are made anew first.

    Raises:
        NoDataError: nothing has been pulled.
        DatabaseError: it cannot be opened.
    """
    import_whole("duckdb")
    import duckdb

    if not workspace.database.exists():
        raise NoDataError(f"There is no local data in {workspace.root} yet.")
    _follow_move(workspace, note)
    try:
        connection = duckdb.connect(as_utf8(workspace.database), read_only=True)
    except duckdb.Error as error:
        raise DatabaseError(f"Cannot open {workspace.database}: {_first_line(error)}") from error
    if workspace.user_database.exists():
        path = quote_literal(as_utf8(workspace.user_database))
        try:
            connection.execute(f'ATTACH {path} AS "user" (READ_ONLY)')
        except duckdb.Error as error:
            note(f"Your own tables are left out: {_first_line(error)}")
    return connection


def explain(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, error: duckdb.Error
) -> QueryError:
    """Return the error of a statement, with a hint where a table is missing."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Did you mean")]
    missing = _MISSING.search(str(error))
    hint = ""
    if missing:
        hint = _hint_for_missing(workspace, connection, missing[1].strip('"'))
    return QueryError("\n".join(lines).strip(), hint=hint)


def _hint_for_missing(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, name: str
) -> str:
    manifest = load_manifest(workspace, server=load(workspace).server)[1]
    listed = manifest.get("tables", {})
    by_lower = {each.lower(): entry for each, entry in listed.items()}
    if by_lower.get(name.lower(), {}).get("query_mode") == "remote":
        return f"The rows of {name!r} stay on the server; it cannot be queried locally."
    if name.lower() in by_lower:
        return f"{name!r} has not been pulled yet: run `agnes pull`."
    if name.lower() in {str(each).lower() for each in manifest.get("waiting", [])}:
        return (
            f"You may read {name!r}, but it has no data yet. Once its first extract is done, "
            "`agnes pull` brings it."
        )
    rows = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    return did_you_mean(name, [row[0] for row in rows])


def _follow_move(workspace: Workspace, note: Callable[[str], None]) -> None:
    """Build the views anew when the files are no longer where the views look for them."""
    if load(workspace).root in ("", as_utf8(workspace.root)):
        return
    with workspace.lock(on_wait=note):
        state = load(workspace)
        if state.is_clean and state.root != as_utf8(workspace.root):
            note("The workspace was moved: making its views anew.")
            install.relocate(workspace, state=state, note=note)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
