"""Parquet files of a wanted size, written and published as those of a run are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
from django.conf import settings

from catalog.models import Source, Table, TableVersion
from catalog.services import registry, sources, versions
from catalog.services.versions import Draft, StoredPart
from extracts.engine import publish
from extracts.engine.parquet import write_parquet

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


def publish_file(table: Table, path: Path, *, rows: int) -> TableVersion:
    """Validate, hash and store a file, and make it the current version of ``table``."""
    part = publish.validate(path, expected_rows=rows)
    publish.store(part, store=settings.LAYOUT.store)
    stored = StoredPart(key="", sha256=part.sha256, md5=part.md5, bytes=part.bytes, rows=part.rows)
    draft = Draft(parts=[stored], columns=part.columns, schema_hash=part.schema_hash)
    return versions.commit(table=table, draft=draft, fencing=table.fencing)[0]


def _published(source: Source, name: str, size_bytes: int, *, seed: int) -> str:
    path = settings.LAYOUT.tmp / f"{name}.parquet"
    written = write_parquet(_noise(size_bytes // (_COLUMNS * _VALUE_BYTES), seed=seed), path)
    table = registry.register_table(source=source, name=name, by=None, source_table=f"{name}.csv")
    version = publish_file(table, path, rows=written.rows)
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
