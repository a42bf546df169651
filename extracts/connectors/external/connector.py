"""Connector for extract folders that somebody else writes."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import Field

from agnes_site.core.errors import InvalidInputError, NotFoundError, UpstreamError
from catalog.connectors import (
    Attach,
    CandidatePart,
    Capability,
    Connector,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    QueryMode,
    Settings,
    TableRequest,
    TableSpec,
)
from extracts.connectors.external.evaluation import evaluated
from extracts.connectors.external.files import Stamps, folder_stamps, opened_inside, stamps
from extracts.connectors.reach.paths import AbsolutePath
from extracts.engine.contract import EXTRACT_NAME, InnerTable, read_extract

if TYPE_CHECKING:
    import pyarrow as pa

_PART_KEY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.=+-]{0,100}[A-Za-z0-9_])?")


class InnerTableMissingError(NotFoundError):
    """The extract does not show this table, or only as a remote one."""

    code = "external_table_missing"
    hint = "Look at `_meta` in the extract; unregister the table if it is gone for good."


class RemoteTableInvalidError(InvalidInputError):
    """A remote table of the extract cannot be found in any catalog."""

    code = "external_remote_invalid"
    hint = (
        "Its view has to be `SELECT * FROM <alias>.<schema>.<table>`, and `_remote_attach` has to "
        "say what the alias is."
    )


class FilesMissingError(UpstreamError):
    """The extract shows a table whose files are not there."""

    code = "external_files_missing"
    hint = "It is read again later; a producer should write the files before `extract.duckdb`."


class FilesChangingError(UpstreamError):
    """The files of the table changed while they were read."""

    code = "external_files_changing"
    hint = "It is read again later; a producer should write files beside and rename them."


class ExternalConfig(Settings):
    """Where the extract lies."""

    folder: AbsolutePath = Field(
        description="Absolute path of the folder that holds `extract.duckdb`."
    )


class ExternalTable(Settings):
    """A table of an extract has no settings of its own."""


class ExternalConnector(Connector):
    """Brings the tables of an extract folder: plain Parquet byte by byte, the rest evaluated."""

    source_type = "external"
    display_name = "External extract"
    query_modes = frozenset({QueryMode.LOCAL, QueryMode.REMOTE})
    capabilities = frozenset(
        {
            Capability.DISCOVER,
            Capability.PREVIEW,
            Capability.EXTRACT,
            Capability.REMOTE_ATTACH,
        }
    )
    config_schema = ExternalConfig
    table_schema = ExternalTable
    is_foreign = True

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Read the extract and say how many tables it shows."""
        extract = read_extract(_folder(config) / EXTRACT_NAME)
        skipped = {left_out.table: left_out.reason for left_out in extract.skipped}
        return Health(
            message=f"The extract shows {len(extract.tables)} tables.",
            details={"skipped": skipped} if skipped else {},
        )

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables of the extract, also those that it lists and that cannot be used."""
        extract = read_extract(_folder(config) / EXTRACT_NAME)
        usable = {table.name.lower() for table in extract.tables}
        for each in extract.skipped:
            if each.table.lower() not in usable:
                yield TableSpec(
                    name=each.table, upstream_id=each.table, source_table=each.table,
                    problem=each.reason,
                )  # fmt: skip
        for table in extract.tables:
            yield TableSpec(
                name=table.name,
                upstream_id=table.name,
                source_table=table.name,
                columns=table.columns,
                rows=None if table.is_remote else table.rows,
                bytes=None if table.is_remote else table.size_bytes,
                description=table.description,
                query_mode=table.query_mode,
            )

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return the first ``rows`` rows, evaluated apart."""
        folder = _folder(config)
        inner = _inner_table(folder, table, stamps(folder, [folder / EXTRACT_NAME]))
        with (
            tempfile.TemporaryDirectory() as scratch,
            evaluated(folder, inner.name, scratch=Path(scratch), rows=rows) as batches,
        ):
            return batches.read_all()

    def remote_attach(self, config: Settings, tables: Iterable[TableRequest]) -> Attach:
        """Return how the producer says that the catalog of its remote tables is attached.

        Raises:
            RemoteTableInvalidError: it does not say so, or for more than one catalog.
        """
        folder = _folder(config)
        aliases = {_remote_place(folder, table)[0].lower() for table in tables}
        listed = read_extract(folder / EXTRACT_NAME).remote
        found = [each for each in listed if each.alias.lower() in aliases]
        if len(aliases) != 1 or len(found) != 1:
            raise RemoteTableInvalidError(
                "The remote tables of an extract need one row of `_remote_attach` for all of them."
            )
        return found[0]

    def remote_place(self, config: Settings, table: TableRequest) -> tuple[str, str]:
        """Return schema and name to which the view in the extract leads."""
        return _remote_place(_folder(config), table)[1:]

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring one table; its files are copied, since their producer may write in place.

        Raises:
            FilesChangingError: the producer was writing meanwhile.
            FilesMissingError: the table has no files.
            InnerTableMissingError: the extract does not show the table.
            ReachesOutsideError: the table reads something outside of the folder.
            EvaluationError: DuckDB cannot evaluate the table.
        """
        folder = _folder(config)
        extract = [folder / EXTRACT_NAME, folder / f"{EXTRACT_NAME}.wal"]
        written = stamps(folder, extract)
        inner = _inner_table(folder, request.table, written)
        files = _copyable(inner)
        before = written | stamps(folder, files)
        if request.state.get("files") == before:
            return ExtractResult(is_unchanged=True, state=request.state)
        if files is not None:
            parts = [_copied(folder, path, out, alone=len(files) == 1) for path in files]
        else:
            with evaluated(folder, inner.name, scratch=out.scratch) as batches:
                parts = [out.write(batches)]
        if stamps(folder, extract) | stamps(folder, files) != before:
            raise FilesChangingError(f"The files of {inner.name!r} changed while they were read.")
        return ExtractResult(parts=tuple(parts), state={"files": before})


def _folder(config: Settings) -> Path:
    return cast(ExternalConfig, config).folder


def _inner_table(folder: Path, table: TableRequest, written: Stamps) -> InnerTable:
    wanted = table.source_table.lower()
    seen = json.dumps([written, folder_stamps(folder)])
    for inner in _inner_tables(folder / EXTRACT_NAME, seen):
        if inner.name.lower() == wanted and not inner.is_remote:
            return inner
    raise InnerTableMissingError(
        f"The extract in {folder.name!r} does not show a table {table.source_table!r}."
    )


@lru_cache(maxsize=1)
def _inner_tables(path: Path, seen: str) -> tuple[InnerTable, ...]:
    """Return what an extract shows; a process reads it once while what it has ``seen`` stays."""
    return read_extract(path).tables


def _remote_place(folder: Path, table: TableRequest) -> tuple[str, str, str]:
    for inner in read_extract(folder / EXTRACT_NAME, only=table.source_table).tables:
        if inner.place is not None:
            return inner.place
    raise RemoteTableInvalidError(f"The view of {table.source_table!r} leads to no remote table.")


def _copyable(inner: InnerTable) -> tuple[Path, ...] | None:
    """Return the files to copy, ``None`` if the table has to be evaluated.

    Raises:
        FilesMissingError: the table has no files.
    """
    if inner.files is None:
        return None
    if not inner.files:
        raise FilesMissingError(f"The files of {inner.name!r} are missing.")
    if len(inner.files) > 1 and not _tell_parts_apart([path.stem for path in inner.files]):
        return None
    return inner.files


def _tell_parts_apart(keys: list[str]) -> bool:
    """Say whether ``keys`` can be those of parts: plain, and different without case."""
    are_different = len({key.lower() for key in keys}) == len(keys)
    return are_different and all(_PART_KEY.fullmatch(key) for key in keys)


def _copied(folder: Path, path: Path, out: Output, *, alone: bool) -> CandidatePart:
    try:
        with opened_inside(folder, path, scratch=out.scratch) as opened:
            return out.copy(opened, key="" if alone else path.stem)
    except FileNotFoundError as error:
        raise FilesMissingError(f"The file {path.name!r} is missing.") from error
