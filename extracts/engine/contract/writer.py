"""Writes the extract folder of a source of ours: links into the store and ``extract.duckdb``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import duckdb
import pyarrow as pa

from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.sql import quote_identifier, quote_literal
from agnes_site.core.storage import fsync_all
from catalog.connectors import Attach, QueryMode
from extracts.engine.contract.folder import ExtractFolder
from extracts.engine.contract.opening import connect
from extracts.engine.contract.shape import EXTRACT_NAME, RESERVED, ExtractTable, LeftOut
from extracts.engine.failures import full_disk_told
from extracts.engine.remote_views import standing_in
from extracts.engine.statements import rows_of_files, run_each

_META_TABLE = """
    CREATE TABLE _meta (
        table_name VARCHAR NOT NULL,
        description VARCHAR,
        rows BIGINT,
        size_bytes BIGINT,
        extracted_at TIMESTAMP,
        query_mode VARCHAR DEFAULT 'local'
    )
"""
_REMOTE_ATTACH_TABLE = """
    CREATE TABLE _remote_attach (alias VARCHAR, extension VARCHAR, url VARCHAR, token_env VARCHAR)
"""


@dataclass(frozen=True, kw_only=True)
class PreparedExtract:
    """A new ``extract.duckdb`` that lies complete beside the one in use.

    ``sha256`` tells our own file from a foreign one: record it before :func:`switch_all`.
    ``left_out`` are tables that could not be shown, ``moved_aside`` the new places of what
    somebody else had put into the folder, ``unsafe`` what is not durable yet.
    """

    folder: Path
    sha256: str
    left_out: tuple[LeftOut, ...]
    moved_aside: tuple[Path, ...]
    files: frozenset[str]
    unsafe: frozenset[Path]
    before_step: Callable[[], None]

    def put_in_place(self) -> None:
        """Let readers see the new file."""
        self.before_step()
        (self.folder / f"{EXTRACT_NAME}.wal").unlink(missing_ok=True)
        (self.folder / f"{EXTRACT_NAME}.tmp").replace(self.folder / EXTRACT_NAME)
        failpoint("regenerate.extract_replaced")

    def tidy(self) -> None:
        """Remove the files of tables that are gone."""
        self.before_step()
        ExtractFolder(self.folder).remove_links_except(self.files)
        failpoint("regenerate.links_removed")


def switch_all(prepared: Sequence[PreparedExtract]) -> dict[Path, AgnesError | OSError]:
    """Put new files in place, each on its own; return what failed, by folder.

    Each is durable before it is in place, and its place before what it replaces is removed; the
    disk is asked for all of them at a time.
    """
    failed: dict[Path, AgnesError | OSError] = {}
    lost = fsync_all({path for each in prepared for path in each.unsafe})
    for each in prepared:
        if trouble := [lost[path] for path in each.unsafe if path in lost]:
            failed[each.folder] = trouble[0]
    _do_each(PreparedExtract.put_in_place, prepared, failed)
    failed |= fsync_all({each.folder for each in prepared} - failed.keys())
    _do_each(PreparedExtract.tidy, prepared, failed)
    return failed


def _do_each(
    step: Callable[[PreparedExtract], None],
    prepared: Sequence[PreparedExtract],
    failed: dict[Path, AgnesError | OSError],
) -> None:
    """Take a step for those that have not failed, and note which do now."""
    for each in prepared:
        if each.folder not in failed:
            try:
                step(each)
            except (AgnesError, OSError) as error:
                failed[each.folder] = error


def prepare_extract(
    folder: Path,
    tables: Iterable[ExtractTable],
    *,
    remote: Sequence[Attach] = (),
    own: Collection[str] | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
    before_step: Callable[[], None] = lambda: None,
    on_foreign: Callable[[Sequence[Path]], None] = lambda paths: None,
) -> PreparedExtract:
    """Link the files of ``tables`` below ``folder`` and write a new ``extract.duckdb`` beside.

    Whoever writes many gives a ``connection`` of :func:`connect` for all of them.

    ``own`` are the SHA-256 of files that we wrote here: an ``extract.duckdb`` with another one
    is foreign and moved aside, after ``on_foreign`` was told; ``None`` takes it as ours. A table
    whose files are missing or broken is left out and never stops the others. The store must be
    on the file system of ``folder``. Safe to repeat after a crash at any point; one caller at a
    time: ``before_step`` is called before whatever others could notice, and may raise to end it.
    After a failure ``connection`` is of no use any more.

    Raises:
        AgnesError, OSError: it cannot be written.
    """
    place = ExtractFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = list(tables)
    usable, left_out = _with_files(tables)
    wanted = {name: stored_at for table in usable for name, stored_at in table.files}
    before_step()
    place.announce(wanted)
    failpoint("regenerate.links_announced")
    foreign = [*place.foreign(), *_foreign_extract(place, own)]
    if foreign:
        on_foreign(foreign)
    moved_aside = tuple(place.set_aside(path) for path in foreign)
    failpoint("regenerate.foreign_set_aside")
    before_step()
    folders = place.link(wanted)
    failpoint("regenerate.data_linked")

    beside = folder / f"{EXTRACT_NAME}.tmp"
    with nullcontext(connection) if connection else closing(connect()) as opened, full_disk_told():
        left_out += _write(opened, beside, data=place.data, tables=usable, remote=remote)
    failpoint("regenerate.extract_written")
    before_step()
    return PreparedExtract(
        folder=folder,
        sha256=_sha256(beside),
        left_out=tuple(left_out),
        moved_aside=moved_aside,
        # A link may be the last copy of a file that is missing from the store: it stays.
        files=frozenset(name for table in tables for name, _ in table.files),
        unsafe=frozenset([beside, *folders]),
        before_step=before_step,
    )


def _with_files(tables: Iterable[ExtractTable]) -> tuple[list[ExtractTable], list[LeftOut]]:
    usable: dict[str, ExtractTable] = {}
    left_out = []
    for table in tables:
        if reason := _objection(table, usable):
            left_out.append(LeftOut(table=table.name, reason=reason))
        else:
            usable[table.name.lower()] = table
    return list(usable.values()), left_out


def _objection(table: ExtractTable, known: Collection[str]) -> str:
    if table.name.lower() in RESERVED:
        return "The contract uses this name itself."
    if table.name.lower() in known:
        return "There is another table of this name."
    if table.query_mode is QueryMode.REMOTE:
        return "" if not table.files else "A remote table has no files."
    if not table.files:
        return "The table has no files."
    if not all(stored_at.is_file() for _, stored_at in table.files):
        return "A file of the table is missing."
    return ""


def _foreign_extract(place: ExtractFolder, own: Collection[str] | None) -> list[Path]:
    """Return the regular ``extract.duckdb`` that is not ours, with its log."""
    found = [place.path / EXTRACT_NAME, place.path / f"{EXTRACT_NAME}.wal"]
    regular = [path for path in found if path.is_file() and not path.is_symlink()]
    if own is None or found[0] not in regular or _sha256(found[0]) in own:
        return []
    return regular


def _write(
    connection: duckdb.DuckDBPyConnection,
    beside: Path,
    *,
    data: Path,
    tables: Sequence[ExtractTable],
    remote: Sequence[Attach],
) -> list[LeftOut]:
    log = beside.with_name(f"{beside.name}.wal")
    beside.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    with _attached(connection, beside):
        left_out = _fill(connection, data=data, tables=tables)
        if remote:
            connection.execute(_REMOTE_ATTACH_TABLE)
            connection.executemany(
                "INSERT INTO _remote_attach VALUES (?, ?, ?, ?)",
                [(one.alias, one.extension, one.url, one.token_name) for one in remote],
            )
        connection.execute("CHECKPOINT extract")
    log.unlink(missing_ok=True)
    return left_out


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    # The file counts only when it is complete: no log of its changes is needed.
    connection.execute(
        f"ATTACH {quote_literal(str(path))} AS extract (RECOVERY_MODE no_wal_writes)"
    )
    try:
        connection.execute("USE extract")
        yield
    finally:
        connection.execute("USE memory")
        connection.execute("DETACH extract")


def _fill(
    connection: duckdb.DuckDBPyConnection, *, data: Path, tables: Sequence[ExtractTable]
) -> list[LeftOut]:
    connection.execute(_META_TABLE)
    remote = [table.remote for table in tables if table.remote]
    with standing_in(connection, remote) as usable:
        views = {
            table.name: [_view_sql(table, data)]
            for table in tables
            if table.files or table.remote in usable
        }
        failed = run_each(connection, views)
    # As Arrow: DuckDB takes a thousand rows this way in the time of one by parameters.
    connection.register("shown", _meta([table for table in tables if table.name not in failed]))
    connection.execute("INSERT INTO _meta FROM shown")
    connection.unregister("shown")
    return [LeftOut(table=name, reason="Its files are not readable Parquet.") for name in failed]


def _meta(tables: Sequence[ExtractTable]) -> pa.Table:
    times = [table.extracted_at.astimezone(UTC).replace(tzinfo=None) for table in tables]
    return pa.table(
        {
            "table_name": pa.array([table.name for table in tables], pa.string()),
            "description": pa.array([table.description for table in tables], pa.string()),
            "rows": pa.array([table.rows for table in tables], pa.int64()),
            "size_bytes": pa.array([table.size_bytes for table in tables], pa.int64()),
            "extracted_at": pa.array(times, pa.timestamp("us")),
            "query_mode": pa.array([table.query_mode.value for table in tables], pa.string()),
        }
    )


def _view_sql(table: ExtractTable, data: Path) -> str:
    place = table.remote.place if table.remote else ""
    rows = rows_of_files([data / name for name, _ in table.files]) if table.files else place
    return f"CREATE VIEW {quote_identifier(table.name)} AS SELECT * FROM {rows}"  # noqa: S608 - all quoted


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
