"""How one CSV file is written: its delimiter, its quotes, and the names of its columns."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice

from extracts.connectors.files.csv_records import NotCsvError, Signs
from extracts.connectors.files.formats import Format
from extracts.connectors.files.lines import DAMAGE, Lines, LongLineError, text_lines
from extracts.connectors.files.names import Names, numbered, usable
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable

_DELIMITERS = ",;\t|"
_HEAD_LETTERS = 200_000


def look_at(file: SourceFile, options: FilesTable) -> tuple[Signs, Names]:
    """Return the signs of a CSV file and its columns, from its first lines.

    Raises:
        NotCsvError: the file is empty, not text, or has no header where one should be.
    """
    with text_lines(file, encoding=options.encoding, error=NotCsvError) as lines:
        head, is_quoted_above = _head(file, lines, options)
    delimiter = options.delimiter or ("\t" if file.kind is Format.TSV else None)
    delimiter = delimiter or _likely_delimiter(head, options)
    signs = Signs(
        delimiter=delimiter,
        quote=options.quote,
        escape=options.escape,
        comment=options.comment,
        skip_rows=options.skip_rows,
        skip_footer=options.skip_footer,
        has_header=options.has_header,
    )
    record = _first_record(head, signs)
    has_odd_head = is_quoted_above or _is_broken(head, record)
    signs = replace(signs, has_odd_head=has_odd_head)
    if not (any(record) if options.has_header else record):
        raise NotCsvError(
            f"The first line of {file.name} is empty.",
            hint="If the header comes later, set skip_rows in the settings of the table.",
        )
    if not options.has_header:
        return signs, numbered(len(record))
    if any(DAMAGE in name for name in record):
        encoding = options.encoding or "UTF-8"
        raise NotCsvError(
            f"{file.name} is not in {encoding}: see its first line.",
            hint="Set encoding in the settings of the table, such as cp1252 or cp1250.",
        )
    return signs, usable(record, file=file.name)


def _is_broken(head: list[str], record: list[str]) -> bool:
    """Say whether a line ends within the header, or in another way after it than the next one."""
    ends = {line[len(line.rstrip("\r\n")) :] for line in head[:2]}
    return len(ends - {""}) > 1 or any("\n" in name or "\r" in name for name in record)


def _head(file: SourceFile, lines: Lines, options: FilesTable) -> tuple[list[str], bool]:
    """Return the first lines that are data, and whether a line above them holds a quote.

    They are enough for a header of several lines.
    """
    head: list[str] = []
    size, is_quoted_above = 0, False
    try:
        for line in islice(lines, options.skip_rows):
            is_quoted_above = is_quoted_above or bool(options.quote and options.quote in line)
        for line in lines:
            if options.comment and line.startswith(options.comment):
                continue
            head.append(line)
            size += len(line)
            if size > _HEAD_LETTERS:
                break
    except LongLineError as error:
        if not head:
            raise NotCsvError(
                f"{file.name}, row {lines.number}: the line is too long to be read.",
                hint="Check that the lines of the file end as lines do, or correct it.",
            ) from error
    if not head:
        raise NotCsvError(
            f"{file.name} holds nothing but lines that are passed over.",
            hint="Check skip_rows and comment in the settings of the table.",
        )
    return head, is_quoted_above


def _likely_delimiter(head: list[str], options: FilesTable) -> str:
    signs = [sign for sign in _DELIMITERS if sign not in (options.quote, options.comment)]
    widths = {
        sign: len(_first_record(head, Signs(delimiter=sign, quote=options.quote))) for sign in signs
    }
    return max(widths, key=lambda sign: widths[sign])


def _first_record(head: list[str], signs: Signs) -> list[str]:
    try:
        return next(csv.reader(head, **signs.of_python()), [])
    except csv.Error:
        return []
