"""Read JSON: a list of objects, a document that holds one, or an object in each line."""

from __future__ import annotations

from collections.abc import Iterator

from extracts.connectors.files.cell_reader import CellReader
from extracts.connectors.files.cell_rows import CellRow
from extracts.connectors.files.formats import Format
from extracts.connectors.files.json_document import document_records
from extracts.connectors.files.json_records import NotJsonError, Record, line_records
from extracts.connectors.files.lines import text_lines
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable


class JsonReader(CellReader):
    """Each key of the objects is a column. Objects and lists inside of them are columns of JSON."""

    error = NotJsonError

    def _prepared(self, options: FilesTable) -> FilesTable:
        # Null is written as such: no text stands for it unless the settings say so.
        if "null_strings" in options.model_fields_set:
            return options
        return options.model_copy(update={"null_strings": ()})

    def _rows_of(self, file: SourceFile) -> Iterator[CellRow]:
        for record in self._records(file):
            if record.problem:
                self.rejects.add(
                    file=file.name, row=record.number, reason=record.problem, text=record.text
                )
            else:
                yield CellRow(file.name, record.number, record.values, record.size)

    def _records(self, file: SourceFile) -> Iterator[Record]:
        encoding = self._options.encoding
        with text_lines(file, encoding=encoding, error=NotJsonError) as lines:
            if file.kind is Format.NDJSON:
                yield from line_records(lines)
            else:
                path = self._options.records_path
                yield from document_records(lines.text, name=file.name, path=path)
