"""Which Parquet files an inner view stands for, when it is nothing but them."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

_LITERAL = r"'(?:[^']|'')*'"
_LIST = rf"main\.list_value\({_LITERAL}(?:, {_LITERAL})*\)"
_UNION = r"(?:, \(union_by_name = CAST\('[tf]' AS BOOLEAN\)\))?"
# DuckDB writes every view out in one spelling, whatever its author typed. A column list, another
# option or a function around it do not match: such a view is evaluated.
_PLAIN_VIEW = re.compile(
    r'CREATE VIEW (?:\w+|"(?:[^"]|"")+") AS SELECT \* FROM '  # noqa: S608 - a pattern
    rf"(?:(?:read_parquet|parquet_scan)\(({_LITERAL}|{_LIST}){_UNION}\)"
    r'|"((?:[^"]|"")+\.parquet)");'
)
_NAME = r'(\w+|"(?:[^"]|"")+")'
_REMOTE_VIEW = re.compile(
    rf"CREATE VIEW {_NAME} AS SELECT \* FROM {_NAME}\.{_NAME}\.{_NAME};"  # noqa: S608 - a pattern
)
_GLOB = re.compile(r"[*?\[]")


def plain_files(
    connection: duckdb.DuckDBPyConnection, *, view_sql: str, folder: Path
) -> tuple[Path, ...] | None:
    """Return the Parquet files below ``folder`` that a view reads as they are.

    ``None`` means that only DuckDB can tell what the view holds. Files that are missing are not
    in the answer, so it can be empty. ``connection`` can reach ``folder`` and nothing else.
    """
    patterns = _patterns(view_sql)
    if patterns is None or not all(pattern.startswith("/") for pattern in patterns):
        return None
    try:
        files = [path for pattern in patterns for path in _expanded(connection, pattern)]
    except duckdb.PermissionException:
        return None
    if len(set(files)) < len(files) or not all(_belongs(path, folder) for path in files):
        return None
    return tuple(files)


def remote_place(view_sql: str) -> tuple[str, str, str] | None:
    """Return alias, schema and name of the remote table that a view shows as it is."""
    match = _REMOTE_VIEW.fullmatch(view_sql)
    if match is None:
        return None
    _view, alias, schema, table = (_unquoted(name) for name in match.groups())
    return alias, schema, table


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _patterns(view_sql: str) -> list[str] | None:
    match = _PLAIN_VIEW.fullmatch(view_sql)
    if match is None:
        return None
    if match[2]:
        return [match[2].replace('""', '"')]
    return [text[1:-1].replace("''", "'") for text in re.findall(_LITERAL, match[1])]


def _expanded(connection: duckdb.DuckDBPyConnection, pattern: str) -> list[Path]:
    if not _GLOB.search(pattern):
        return [Path(pattern)] if Path(pattern).exists() else []
    found = connection.execute("SELECT file FROM glob(?) ORDER BY file", [pattern]).fetchall()
    return [Path(file) for (file,) in found]


def _belongs(path: Path, folder: Path) -> bool:
    """Say whether a file really lies below ``folder``, in folders that add no columns."""
    real, root = path.resolve(), folder.resolve()
    if not real.is_relative_to(root) or not real.is_file():
        return False
    # DuckDB makes columns of folders such as `month=2026-01`.
    return not any("=" in segment for segment in path.parent.parts)
