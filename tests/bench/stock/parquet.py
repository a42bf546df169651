"""Parquet files of a wanted size, written and published as those of a run are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
from django.conf import settings

from catalog.models import Source, Table, TableVersion
from catalog.services import registry, sources
from catalog.services.versions import Committed
from extracts.engine.parquet import write_parquet
from extracts.engine.publish import validate
from extracts.models import Run
from extracts.services import publication
from extracts.services.publication import Candidate, Submission

_COLUMNS = 8
_VALUE_BYTES = 8
_BATCH_ROWS = 65_536


def publish_files(source: str, count: int, size_bytes: int) -> dict[str, str]:
    """Publish ``count`` tables of a file of about ``size_bytes`` each; return SHA-256 by name."""
    owner = sources.add_source(
        slug=source, source_type="files", config={"folder": "/data"}, by=None
    )
    return {
        name: _published(owner, name, size_bytes, seed=number)
        for number in range(count)
        for name in [f"{source}_{number:03}"]
    }


def publish_all(files: Iterable[tuple[Table, Path]], *, rows: int) -> list[TableVersion]:
    """Validate files of ``rows`` rows and publish them together, as those of a source are."""
    submissions = [
        Submission(
            table=table,
            run=Run(table=table, fencing=table.fencing),
            candidate=Candidate(
                parts=[validate(path, expected_rows=rows)], removed_parts=(), is_complete=True,
                state={},
            ),
        )
        for table, path in files
    ]  # fmt: skip
    outcomes = publication.publish_all(submissions)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failed:
        raise failed[0]
    return [outcome.version for outcome in outcomes if isinstance(outcome, Committed)]


def _published(source: Source, name: str, size_bytes: int, *, seed: int) -> str:
    path = settings.LAYOUT.tmp / f"{name}.parquet"
    written = write_parquet(_noise(size_bytes // (_COLUMNS * _VALUE_BYTES), seed=seed), path)
    table = registry.register_table(source=source, name=name, by=None, source_table=f"{name}.csv")
    (version,) = publish_all([(table, path)], rows=written.rows)
    return str(version.parts.get().sha256)


def _noise(rows: int, *, seed: int) -> pa.RecordBatchReader:
    """Return rows that do not compress, so that a file is as large as they are."""
    random = Random(seed)
    schema = pa.schema([(f"value_{number}", pa.int64()) for number in range(_COLUMNS)])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, _BATCH_ROWS):
            count = min(_BATCH_ROWS, rows - start)
            columns = [_column(random, count) for _ in range(_COLUMNS)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column(random: Random, count: int) -> pa.Array:
    values = pa.py_buffer(random.randbytes(count * _VALUE_BYTES))
    return pa.Array.from_buffers(pa.int64(), count, [None, values])
