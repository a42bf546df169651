"""Read a Parquet file to its last page before anybody is given it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.sql import quote_literal
from catalog.connectors import ColumnSpec
from extracts.engine.columns import check_columns, column_specs, schema_hash
from extracts.engine.extensions import OFFLINE
from extracts.engine.parquet import ORDER_KEY, SCHEMA_KEY, WRITER_KEY
from extracts.engine.statistics import ChunkBounds
from extracts.engine.texts import storable

_MAGIC = b"PAR1"
_CHUNK_BYTES = 1024 * 1024

# Larger row groups, which our writer never makes, are read column by column to bound memory.
_WHOLE_GROUP_BYTES = 64 * 1024 * 1024
_BATCH_ROWS = 64 * 1024


class DamagedFileError(InvalidInputError):
    """A Parquet file cannot be read, or does not hold what it says."""

    code = "parquet_damaged"
    hint = "Extract the table again; if it happens again, check the disk or the file's producer."


@dataclass(frozen=True, kw_only=True)
class ValidatedPart:
    """A file that was read completely, and what was found in it.

    ``order`` are the columns that the writer says the rows are sorted by; ``order_min`` and
    ``order_max`` are their values in the first and the last row, fit for JSON.
    """

    path: Path
    key: str = ""
    rows: int
    bytes: int
    sha256: str
    md5: str
    columns: tuple[ColumnSpec, ...]
    schema_hash: str
    order: tuple[str, ...] = ()
    order_min: tuple[Any, ...] | None = None
    order_max: tuple[Any, ...] | None = None


def validate(path: Path, *, expected_rows: int | None, key: str = "") -> ValidatedPart:
    """Hash the file and decode each of its pages, checking checksums where there are any.

    Raises:
        DamagedFileError: the file is not Parquet, or any of it cannot be decoded, or its rows
            or statistics are not what it says, or its rows are not ``expected_rows``.
        ColumnNameError, ColumnTypeError, TooManyColumnsError: its columns cannot be served.
    """
    size = path.stat().st_size
    check_ends(path, name=path.name)
    with ThreadPoolExecutor(max_workers=1) as executor:
        hashes = executor.submit(_hashes, path) if size > _CHUNK_BYTES else None
        content = _decode(path)
        sha256, md5 = hashes.result() if hashes else _hashes(path)
    if expected_rows is not None and content.rows != expected_rows:
        raise DamagedFileError(
            f"{path.name} holds {content.rows} rows where {expected_rows} were announced."
        )
    return ValidatedPart(
        path=path,
        key=key,
        rows=content.rows,
        bytes=size,
        sha256=sha256,
        md5=md5,
        columns=content.columns,
        schema_hash=schema_hash(content.columns),
        order=content.order,
        order_min=content.order_min,
        order_max=content.order_max,
    )


def check_ends(path: Path, *, name: str) -> None:
    """Tell a file that is no Parquet from one that was cut off, which its reader would not.

    Raises:
        DamagedFileError: it is one of them.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        file.seek(max(0, size - len(_MAGIC)))
        tail = file.read()
    if head != _MAGIC:
        what = "is empty" if size == 0 else "is not a Parquet file: it does not start with PAR1"
        raise DamagedFileError(f"{name} {what}.")
    if tail != _MAGIC or size < 12:
        raise DamagedFileError(f"{name} is cut off: it does not end with PAR1.")


def _hashes(path: Path) -> tuple[str, str]:
    """Return SHA-256 and MD5 in hex, reading once; MD5, the slower one, has its own thread."""
    if path.stat().st_size <= _CHUNK_BYTES:
        content = path.read_bytes()
        md5_of_all = hashlib.md5(content, usedforsecurity=False)
        return hashlib.sha256(content).hexdigest(), md5_of_all.hexdigest()
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file, ThreadPoolExecutor(max_workers=1) as executor:
        chunk = file.read(_CHUNK_BYTES)
        while chunk:
            pending = executor.submit(md5.update, chunk)
            sha256.update(chunk)
            chunk = file.read(_CHUNK_BYTES)
            pending.result()
    return sha256.hexdigest(), md5.hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Content:
    rows: int
    columns: tuple[ColumnSpec, ...]
    order: tuple[str, ...]
    order_min: tuple[Any, ...] | None
    order_max: tuple[Any, ...] | None


def _decode(path: Path) -> _Content:
    with reading_damage(f"{path.name} has a damaged footer"):
        # Buffered reading of one column after the other keeps memory low.
        file = pq.ParquetFile(
            path, page_checksum_verification=True, pre_buffer=False, buffer_size=_CHUNK_BYTES
        )
    with file:
        with reading_damage(f"{path.name} has a damaged footer"):
            names = list(file.schema_arrow.names)
            facts = file.metadata.metadata or {}
        check_columns(file.schema_arrow)
        edges = _Edges(_recorded_order(facts, names))
        for number in range(file.num_row_groups):
            _read_group(file, number, path.name, edges)
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        if sum(groups) != file.metadata.num_rows:
            raise DamagedFileError(
                f"{path.name} says it has {file.metadata.num_rows} rows; "
                f"its row groups have {sum(groups)}."
            )
        is_ours = WRITER_KEY.encode() in facts
        columns = column_specs(file.schema_arrow) if is_ours else _columns_by_duckdb(path)
        if is_ours and facts.get(SCHEMA_KEY.encode(), b"") != schema_hash(columns).encode():
            raise DamagedFileError(f"{path.name} has other columns than were written.")
        return _Content(
            rows=file.metadata.num_rows,
            columns=columns,
            order=edges.order,
            order_min=edges.first,
            order_max=edges.last,
        )


def _read_group(file: pq.ParquetFile, number: int, name: str, edges: _Edges) -> None:
    names = list(file.schema_arrow.names)
    where = f"{name}, row group {number}"
    is_small = 0 <= file.metadata.row_group(number).total_byte_size <= _WHOLE_GROUP_BYTES
    if not is_small:
        _read_each_column(file, number, where, edges)
        return
    try:
        with reading_damage(where, row_group=number):
            _read_columns(file, number, names, edges)
    except DamagedFileError:
        # Once more, to say in which column the damage is.
        _read_each_column(file, number, where, edges)
        raise


def _read_each_column(file: pq.ParquetFile, number: int, where: str, edges: _Edges) -> None:
    for column in file.schema_arrow.names:
        with reading_damage(f"{where}, column {column!r}", row_group=number, column=column):
            _read_columns(file, number, [column], edges)


def _read_columns(file: pq.ParquetFile, number: int, names: list[str], edges: _Edges) -> None:
    """Decode some columns of a row group.

    Raises:
        ValueError, OSError: they cannot be decoded, or hold something else than announced.
    """
    bounds = ChunkBounds()
    rows = 0
    batches = file.iter_batches(
        batch_size=_BATCH_ROWS, row_groups=[number], columns=names, use_threads=False
    )
    for batch in batches:
        batch.validate(full=True)
        bounds.add(batch)
        edges.add(batch)
        rows += batch.num_rows
    announced = file.metadata.row_group(number).num_rows
    if rows != announced:
        raise ValueError(f"it holds {rows} rows where {announced} are announced")
    bounds.check(file.metadata.row_group(number), file.schema)


@contextmanager
def reading_damage(where: str, **details: Any) -> Iterator[None]:
    """Turn whatever a reader raises about damaged bytes into our error."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # Its first line says what is wrong; what follows is of the reader's own making.
        said = str(error).partition("\n")[0].partition(". Detail: ")[0]
        raise DamagedFileError(f"{where}: {said}", **details) from error


class _Edges:
    """The values of the order columns in the first and the last row."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self.order = order
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        for name in self.order:
            if name in batch.schema.names:
                column = batch.column(name)
                self._first.setdefault(name, _jsonable(column[0]))
                self._last[name] = _jsonable(column[-1])

    @property
    def first(self) -> tuple[Any, ...] | None:
        return tuple(self._first[name] for name in self.order) if self._first else None

    @property
    def last(self) -> tuple[Any, ...] | None:
        return tuple(self._last[name] for name in self.order) if self._last else None


def _jsonable(value: Any) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_boolean(value.type) or pa.types.is_integer(value.type):
        return value.as_py()
    if pa.types.is_floating(value.type):
        number = value.as_py()
        return number if abs(number) < float("inf") else str(number)
    if pa.types.is_binary(value.type) or pa.types.is_fixed_size_binary(value.type):
        return value.as_py().hex()
    if pa.types.is_nested(value.type) or isinstance(value, pa.ExtensionScalar):
        return storable(str(value))
    return storable(value.cast(pa.string()).as_py())


def _recorded_order(facts: dict[bytes, bytes], names: list[str]) -> tuple[str, ...]:
    try:
        order = json.loads(facts.get(ORDER_KEY.encode(), b"[]"))
    except ValueError:
        return ()
    is_usable = isinstance(order, list) and all(name in names for name in order)
    return tuple(order) if is_usable else ()


def _columns_by_duckdb(path: Path) -> tuple[ColumnSpec, ...]:
    """Ask DuckDB what it calls the columns, for files whose types we did not choose."""
    try:
        with _duckdb().cursor() as cursor:
            # No parameter: for one, DuckDB looks for libraries of data frames each time.
            file = f"read_parquet({quote_literal(str(path))}, hive_partitioning = false)"
            rows = cursor.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()  # noqa: S608 - quoted
    except duckdb.Error as error:
        # What went wrong may have left it unusable.
        _duckdb.cache_clear()
        raise DamagedFileError(f"{path.name} cannot be read by DuckDB: {error}") from error
    return tuple(ColumnSpec(name=row[0], type=row[1]) for row in rows)


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    """Return the DuckDB of this process: to open one takes longer than to read a small file."""
    return duckdb.connect(config={**OFFLINE, "threads": "1"})
