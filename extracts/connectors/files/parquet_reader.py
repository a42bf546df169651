"""Read Parquet files so that they can be rewritten by our writer, checking their checksums."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from agnes_site.core.errors import InvalidInputError
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.formats import Compression
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.streams import CHUNK_BYTES, opened
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.columns import column_specs
from extracts.engine.combining import read_parts
from extracts.engine.validation import DamagedFileError

_VIEW = "parquet_input"


class ParquetReader:
    """The rows of one table from its Parquet files, one file after the other."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[SourceFile],
        *,
        options: FilesTable,
        scratch: Path,
    ) -> None:
        """Look at the footers; compressed files are unpacked into ``scratch``.

        Raises:
            DamagedFileError: a file is not readable.
            PartsDifferError: a column has types in two files that do not fit together.
        """
        self.notes: tuple[str, ...] = ()
        self.rejects = Rejects(scratch, options)
        self._names = [file.name for file in files]
        self._connection = connection
        self._parts = [_plain(file, scratch, number) for number, file in enumerate(files)]
        self.columns = column_specs(self._batches().schema)

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        self._connection.register(_VIEW, self._batches())
        query = f"SELECT * FROM {_VIEW}"  # noqa: S608  a constant
        return self._connection.execute(query).to_arrow_reader(batch_rows)

    def recover(self) -> bool:
        """There is one way only."""
        return False

    def _batches(self) -> pa.RecordBatchReader:
        try:
            return read_parts(self._parts)
        except DamagedFileError as error:
            raise self.explain(error) from error

    def check(self) -> None:
        """Everything is checked while it is read."""

    def explain(self, error: Exception) -> InvalidInputError:
        """Say what is wrong with the files that reading failed on."""
        # What was raised between two batches comes back wrapped by Arrow and DuckDB.
        reason = str(error).partition("\n")[0].partition(". Detail: ")[0]
        reason = reason.rpartition("Unknown error: ")[2]
        return DamagedFileError(f"{', '.join(self._names[:3])} cannot be read: {reason}")


def _plain(file: SourceFile, scratch: Path, number: int) -> Path:
    if file.compression is Compression.NONE:
        return file.path
    unpacked = scratch / f"{number:06}.parquet"
    try:
        with opened(file) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
    except FileUnusableError as error:
        raise DamagedFileError(error.message, hint=error.hint) from error
    return unpacked
