"""The queries by which DuckDB reads CSV files that are plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from agnes_site.core.sql import quote_identifier, quote_literal, quote_literals
from extracts.connectors.files.csv_sheet import Sheet
from extracts.connectors.files.lines import MAX_LINE
from extracts.connectors.files.text_types import ColumnType

_BUFFER_BYTES = 2 * MAX_LINE


def typed_query(
    sheets: Sequence[Sheet], types: Mapping[str, ColumnType], null_strings: Sequence[str]
) -> str:
    """Return the query for all rows of some files in the types of their table."""
    columns = ", ".join(
        f"{kind.cast(name)} AS {quote_identifier(name)}" for name, kind in types.items()
    )
    return f"SELECT {columns} FROM ({text_query(sheets, null_strings)})"  # noqa: S608  quoted


def text_query(sheets: Sequence[Sheet], null_strings: Sequence[str]) -> str:
    """Return the query for all rows of some files as text."""
    groups = groupby(sheets, key=lambda sheet: (sheet.signs, sheet.names))
    return " UNION ALL BY NAME ".join(_scan(list(group), null_strings) for _, group in groups)


def _scan(sheets: Sequence[Sheet], null_strings: Sequence[str]) -> str:
    """Return the query for files that have the same columns and signs."""
    signs = sheets[0].signs
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in sheets[0].names)
    quote = quote_literal(signs.quote)
    options = (
        f"auto_detect = false, header = {str(signs.has_header).lower()}, "
        f"skip = {signs.skip_rows}, delim = {quote_literal(signs.delimiter)}, "
        f"quote = {quote}, escape = {quote}, "
        f"nullstr = {quote_literals(null_strings)}, "
        f"max_line_size = {MAX_LINE}, buffer_size = {_BUFFER_BYTES}, "
        f"columns = {{{columns}}}"
    )
    paths = quote_literals(str(sheet.link) for sheet in sheets)
    return f"SELECT * FROM read_csv({paths}, {options})"  # noqa: S608  quoted
