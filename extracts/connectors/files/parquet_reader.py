"""Read Parquet files so that they can be rewritten by our writer, checking their checksums."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import duckdb

from agnes_site.core.errors import InvalidInputError
from extracts.connectors.files.listing import SourceFile
from extracts.engine.columns import column_specs
from extracts.engine.combining import read_parts
from extracts.engine.validation import DamagedFileError

_VIEW = "parquet_input"


class ParquetReader:
    """The rows of one table from its Parquet files, one file after the other."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile], *, scratch: Path
    ) -> None:
        """Look at the footers; compressed files are unpacked into ``scratch``.

        Raises:
            DamagedFileError: a file is not readable.
            PartsDifferError: a column has types in two files that do not fit together.
        """
        self._names = [file.name for file in files]
        self._connection = connection
        self._parts = [_plain(file, scratch, number) for number, file in enumerate(files)]
        self.rewind()

    def rewind(self) -> None:
        """Begin again: the next query gives all rows once more, a second one only the rest."""
        try:
            rows = read_parts(self._parts)
        except DamagedFileError as error:
            raise self.explain(error) from error
        self.columns = column_specs(rows.schema)
        self._connection.register(_VIEW, rows)

    def check(self) -> None:
        """Everything is checked while it is read."""

    def query(self) -> str:
        """Return the query for all rows, in the order of the files."""
        return f"SELECT * FROM {_VIEW}"  # noqa: S608  a constant

    def explain(self, error: Exception) -> InvalidInputError:
        """Say what is wrong with the files that reading failed on."""
        reason = str(error).partition("\n")[0]
        return DamagedFileError(f"{', '.join(self._names[:3])} cannot be read: {reason}")


def _plain(file: SourceFile, scratch: Path, number: int) -> Path:
    if not file.is_gzip:
        return file.path
    unpacked = scratch / f"{number:06}.parquet"
    try:
        with gzip.open(file.path) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFileError(
            f"{file.name} is damaged or not compressed with gzip: {error}"
        ) from error
    return unpacked
