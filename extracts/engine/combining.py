"""Read several Parquet files as one table, and rewrite them as one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.progress import Progress, silent
from catalog.connectors import ColumnSpec, DriftPolicy
from extracts.engine.columns import canonical_schema
from extracts.engine.drift import compare_schemas
from extracts.engine.parquet import Written, write_parquet
from extracts.engine.validation import ValidatedPart, check_ends, reading_damage

_BATCH_ROWS = 16 * 1024


class PartsDifferError(InvalidInputError):
    """A column has types in two parts of a table that no one type can hold."""

    code = "parts_differ"
    hint = "Extract all parts of the table again, or change the column's type at its source."


def combine(
    parts: Sequence[Path],
    path: Path,
    *,
    order: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Written:
    """Write the rows of ``parts``, one part after the other, as one file at ``path``.

    Raises:
        PartsDifferError: a column has types in two parts that do not fit together.
        DamagedFileError: a part cannot be read.
    """
    return write_parquet(read_parts(parts), path, order=order, progress=progress)


def read_parts(parts: Sequence[Path]) -> pa.RecordBatchReader:
    """Read ``parts`` one after the other, checking the checksums of pages where there are any.

    Columns are matched by name; one that a part does not have is null there. The reader
    raises :class:`~extracts.engine.validation.DamagedFileError` when it meets damage.

    Raises:
        PartsDifferError: a column has types in two parts that do not fit together.
        DamagedFileError: the footer of a part cannot be read.
    """
    schema = _unified([(part.name, _schema_of(part)) for part in parts])
    batches = (batch for part in parts for batch in _batches(part, schema))
    return pa.RecordBatchReader.from_batches(schema, batches)


def common_columns(parts: Sequence[ValidatedPart]) -> tuple[ColumnSpec, ...]:
    """Return the columns that all ``parts`` of a table have.

    Raises:
        PartsDifferError: a part has other columns, or the same in another order.
    """
    first, *others = parts
    for part in others:
        if part.schema_hash != first.schema_hash:
            drift = compare_schemas(first.columns, part.columns, policy=DriftPolicy.EVOLVE)
            raise PartsDifferError(
                f"Part {part.key!r} does not have the columns of part {first.key!r}: "
                f"{str(drift) or 'another order'}.",
                part=part.key,
            )
    return first.columns


def _schema_of(part: Path) -> pa.Schema:
    check_ends(part, name=part.name)
    with reading_damage(f"{part.name} has a damaged footer"):
        schema = pq.read_schema(part)
    return canonical_schema(schema)


def _unified(schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    fields: dict[str, Any] = {}
    for part, schema in schemas:
        for field in schema:
            known = fields.setdefault(field.name.lower(), field)
            if known.type == field.type:
                continue
            try:
                merged = pa.unify_schemas(
                    [pa.schema([known]), pa.schema([field.with_name(known.name)])],
                    promote_options="permissive",
                )
            except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
                raise PartsDifferError(
                    f"Column {field.name!r} is {field.type} in {part} "
                    f"and {known.type} in the parts before it.",
                    part=part,
                    column=field.name,
                ) from error
            fields[field.name.lower()] = merged.field(0)
    return canonical_schema(pa.schema(list(fields.values())))


def _batches(part: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with (
        reading_damage(part.name),
        pq.ParquetFile(part, page_checksum_verification=True, pre_buffer=False) as file,
    ):
        for number in range(file.num_row_groups):
            rows = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[number]):
                rows += batch.num_rows
                yield fitted(batch, schema)
            # Arrow ends early without a word where fewer rows are there than were written.
            announced = file.metadata.row_group(number).num_rows
            if rows != announced:
                raise ValueError(f"row group {number} holds {rows} of {announced} rows")


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of ``schema``, matched by name; one it has not is null."""
    by_name = {name.lower(): batch.column(i) for i, name in enumerate(batch.schema.names)}
    columns = []
    for field in schema:
        column: Any = by_name.get(field.name.lower())
        if column is None:
            column = pa.nulls(batch.num_rows, field.type)
        elif column.type != field.type:
            column = column.cast(field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
