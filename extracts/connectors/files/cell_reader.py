"""What the readers of files have in common whose values have types of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa

from catalog.connectors import ColumnSpec
from extracts.connectors.files.cell_rows import CellRow, CellRows
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.rejects import Rejects
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable


class CellReader(ABC):
    """The rows of one table from its files, one file after the other; there is one way to read."""

    error: ClassVar[type[FileUnusableError]]

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[SourceFile],
        *,
        options: FilesTable,
        known: Sequence[ColumnSpec],
        scratch: Path,
        look_at: int | None = None,
    ) -> None:
        """Look at all rows, or at the first ``look_at``, for columns and types.

        Raises:
            FileUnusableError: as ``error``: a file is not what it should be, or too large.
            RowError: a row cannot be used.
        """
        self._files = files
        self._options = options = self._prepared(options)
        self._scratch = scratch
        self.rejects = Rejects(scratch, options)
        self._rows = CellRows(
            self._all,
            connection=connection,
            options=options,
            known=known,
            rejects=self.rejects,
            look_at=look_at,
            declared=self._declared(),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the reading."""
        return (self._rows.note,) if self._rows.note else ()

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table and their types."""
        return self._rows.columns

    def check(self) -> None:  # noqa: B027  there is nothing to do
        """Everything is checked while it is read."""

    def rows(self, batch_rows: int) -> pa.RecordBatchReader:
        """Return all rows from the beginning, in the order of the files."""
        return self._rows.rows()

    def recover(self) -> bool:
        """There is one way only."""
        return False

    def explain(self, error: Exception) -> FileUnusableError:
        """Say what is wrong with the files that reading failed on."""
        reason = str(error).partition("\n")[0][:200]
        return self.error(f"{self._files[0].name} cannot be read: {reason}")

    def _prepared(self, options: FilesTable) -> FilesTable:
        """Get ready to read, and return the settings as they are for these files."""
        return options

    def _declared(self) -> Sequence[str]:
        """Return the columns that the files themselves name, whatever their rows have."""
        return ()

    @abstractmethod
    def _rows_of(self, file: SourceFile) -> Iterator[CellRow]:
        """Yield the rows of a file that can be used, and set the others aside."""

    def _all(self) -> Iterator[CellRow]:
        self.rejects.restart()
        for file in self._files:
            yield from self._rows_of(file)
