"""Renews the analytics file: every served table as a view, for operators, BI tools and scripts.

The folder holds generations ``server.<n>.duckdb``; the link ``server.duckdb`` leads to the one
in force. A generation never changes once the link leads to it: a reader keeps the one it opened.
Within one process DuckDB knows a file by its path, so open what :func:`current` returns.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.sql import quote_identifier, quote_literal
from agnes_site.core.storage import fsync_file, fsync_folder
from catalog.connectors import QueryMode
from extracts.engine.extensions import OFFLINE
from extracts.engine.failures import full_disk_told
from extracts.engine.remote_views import RemoteView, standing_in
from extracts.engine.statements import rows_of_files, run_each

LINK_NAME = "server.duckdb"

_GENERATION = re.compile(r"server\.(\d{1,18})\.duckdb")
_LEFT_OVER = re.compile(r"server\..*(?:\.tmp|\.wal)")
# Schemas that DuckDB has itself. A source of such a name gets one that no source can have.
_TAKEN_SCHEMAS = frozenset(["main", "temp", "pg_catalog", "information_schema"])
_UNKNOWN = "Its columns are not known yet: its remote catalog could not be attached."
_STRANGE = "Its columns at the source have types that DuckDB does not know."


class AnalyticsDamagedError(AgnesError):
    """The generation in force cannot be read, so it cannot be renewed."""

    code = "analytics_damaged"
    hint = "Renew it from scratch, with every source."


@dataclass(frozen=True, kw_only=True)
class TableViews:
    """A served table: its names, and the stored files it consists of or where it is remote."""

    name: str
    files: tuple[Path, ...] = ()
    aliases: tuple[str, ...] = ()
    query_mode: QueryMode = QueryMode.LOCAL
    remote: RemoteView | None = None


@dataclass(frozen=True, kw_only=True)
class SourceViews:
    """All served tables of one source; ``source`` is its slug."""

    source: str
    tables: tuple[TableViews, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ViewLeftOut:
    """A table, or a name of one, that has no view in this generation, and why."""

    source: str
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """The new generation, and what it could not show."""

    path: Path
    left_out: tuple[ViewLeftOut, ...]


def current(folder: Path) -> Path | None:
    """Return the generation in force, ``None`` if there is none."""
    link = folder / LINK_NAME
    if not link.is_symlink():
        return None
    name = link.readlink().name
    path = folder / name
    return path if _GENERATION.fullmatch(name) and path.is_file() else None


def shown_sources(folder: Path) -> frozenset[str]:
    """Return the sources that the generation in force shows, by their slugs.

    Raises:
        AnalyticsDamagedError: the generation in force cannot be read.
    """
    path = current(folder)
    if path is None:
        return frozenset()
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            schemas = connection.execute(
                "SELECT schema_name FROM duckdb_schemas()"
                " WHERE NOT internal AND database_name = current_database()"
            ).fetchall()
    except duckdb.Error as error:
        raise AnalyticsDamagedError("The analytics file in force cannot be read.") from error
    return frozenset(name.removeprefix("source ") for (name,) in schemas)


def renew(
    folder: Path,
    *,
    changed: Sequence[SourceViews],
    gone: Sequence[str] = (),
    from_scratch: bool = False,
    before_step: Callable[[], None] = lambda: None,
) -> Renewed:
    """Put a generation in force in which the sources ``changed`` are as given and ``gone`` absent.

    Every other source stays as it is, unless ``from_scratch``: then ``changed`` is everything.
    A table that cannot be shown is left out and never stops the others. One caller at a time; safe
    to repeat after a crash. ``before_step`` is called before whatever others could notice, and may
    raise to end it there.

    Raises:
        AnalyticsDamagedError: the generation in force cannot be read.
    """
    before_step()
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    previous = current(folder)
    generation = max(_generations(folder), default=0) + 1
    path = folder / f"server.{generation}.duckdb"
    base = None if from_scratch else previous

    beside = path.with_name(f"{path.name}.tmp")
    if base is not None:
        shutil.copyfile(base, beside)
    failpoint("rebuild.copied")
    with full_disk_told():
        left_out = _write(beside, changed=changed, gone=gone)
    before_step()
    # A generation in force never changes: the name has to be free.
    path.hardlink_to(beside)
    beside.unlink()
    failpoint("rebuild.written")
    before_step()
    _switch(folder, path)
    failpoint("rebuild.switched")
    before_step()
    _remove_generations_except(folder, [path, previous])
    failpoint("rebuild.swept")
    return Renewed(path=path, left_out=tuple(left_out))


def _write(path: Path, *, changed: Sequence[SourceViews], gone: Sequence[str]) -> list[ViewLeftOut]:
    with closing(duckdb.connect(config={**OFFLINE, "threads": "1"})) as connection:
        _attach(connection, path)
        _drop(connection, [*gone, *(views.source for views in changed)])
        left_out = [left for views in changed for left in _create(connection, views)]
        connection.execute("CHECKPOINT analytics")
    fsync_file(path)
    return left_out


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        # The file counts only when it is complete: no log of its changes is needed.
        with full_disk_told():
            connection.execute(
                f"ATTACH {quote_literal(str(path))} AS analytics (RECOVERY_MODE no_wal_writes)"
            )
    except duckdb.Error as error:
        raise AnalyticsDamagedError("The analytics file in force cannot be read.") from error


def _drop(connection: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> None:
    """Remove the schemas of sources, and what they own in `main`."""
    schemas = [_schema(source) for source in sources]
    names = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE database_name = 'analytics'"
        " AND lower(schema_name) IN (SELECT lower(unnest(?)))",
        [schemas],
    ).fetchall()
    views = [f"DROP VIEW IF EXISTS {_qualified('main', name)}" for (name,) in names]
    places = [f"DROP SCHEMA IF EXISTS analytics.{quote_identifier(each)}" for each in schemas]
    failed = run_each(connection, {"": [*views, *(f"{place} CASCADE" for place in places)]})
    for error in failed.values():
        raise error


def _create(connection: duckdb.DuckDBPyConnection, views: SourceViews) -> Iterator[ViewLeftOut]:
    schema = _schema(views.source)
    connection.execute(f"CREATE SCHEMA analytics.{quote_identifier(schema)}")
    remote = [table.remote for table in views.tables if table.remote]
    with standing_in(connection, remote) as usable:
        objections = {table.name: _objection(table, usable) for table in views.tables}
        # Both or none: what is in the schema of a source is what it owns in `main`.
        wanted = {
            name: [_view(place, name, _rows_of(table)) for place in ("main", schema)]
            for table in views.tables
            if not objections[table.name]
            for name in (table.name, *table.aliases)
        }
        failed = run_each(connection, wanted)
    reasons = {name: reason for name, reason in objections.items() if reason}
    for name, reason in {**reasons, **{name: _reason(failed[name]) for name in failed}}.items():
        yield ViewLeftOut(source=views.source, name=name, reason=reason)


def _objection(table: TableViews, usable: Collection[RemoteView]) -> str:
    if table.query_mode is QueryMode.REMOTE:
        known = table.remote is not None
        return "" if table.remote in usable else _STRANGE if known else _UNKNOWN
    if not table.files:
        return "The table has no files."
    if not all(path.is_file() for path in table.files):
        return "A file of the table is missing."
    return ""


def _rows_of(table: TableViews) -> str:
    """Return what stands behind FROM in the views of a table."""
    if table.remote is not None:
        return table.remote.place
    return rows_of_files([path.absolute() for path in table.files])


def _view(schema: str, name: str, rows: str) -> str:
    return f"CREATE VIEW {_qualified(schema, name)} AS SELECT * FROM {rows}"  # noqa: S608 - quoted


def _reason(error: duckdb.Error) -> str:
    if isinstance(error, duckdb.CatalogException):
        return "There is another table of this name."
    return "Its files are not readable Parquet."


def _qualified(schema: str, name: str) -> str:
    return f"analytics.{quote_identifier(schema)}.{quote_identifier(name)}"


def _schema(source: str) -> str:
    return f"source {source}" if source.lower() in _TAKEN_SCHEMAS else source


def _switch(folder: Path, path: Path) -> None:
    beside = folder / f"{LINK_NAME}.tmp"
    beside.symlink_to(path.name)
    # Rename last: a reader sees the old generation or the new one, never none.
    beside.replace(folder / LINK_NAME)
    fsync_folder(folder)


def _generations(folder: Path) -> dict[int, Path]:
    matches = ((_GENERATION.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}


def _remove_generations_except(folder: Path, kept: Sequence[Path | None]) -> None:
    for path in _generations(folder).values():
        if path not in kept:
            path.unlink()


def _sweep(folder: Path) -> None:
    """Remove what an earlier renewal left half done."""
    for path in folder.iterdir():
        if _LEFT_OVER.fullmatch(path.name) and not path.is_dir():
            path.unlink()
