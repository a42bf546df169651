"""`agnes query`: SQL on the laptop."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyst_cli import local, results, workspace
from analyst_cli.errors import CliError, UsageError

if TYPE_CHECKING:
    import duckdb

_DEFAULT_LIMIT = 1000
_FORMATS = ("table", "json", "csv", "parquet")


# A statement may begin with a comment: `-- ...` is not an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("statement", required=False, metavar="[SQL]")
@click.option("--sql", help="The statement, for those who prefer an option.")
@click.option("--stdin", "from_stdin", is_flag=True, help='Read SQL, or {"sql": ...}, from stdin.')
@click.option("--file", "sql_file", type=click.Path(path_type=Path), help="Read SQL from a file.")
@click.option("--format", "-f", "format_", type=click.Choice(_FORMATS), help="How to print.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file instead.")
@click.option(
    "--limit", type=click.IntRange(min=0),
    help=f"Rows to print, 0 for all; {_DEFAULT_LIMIT} unless they go to a file.",
)  # fmt: skip
def query(
    statement: str | None,
    sql: str | None,
    from_stdin: bool,
    sql_file: Path | None,
    format_: str | None,
    as_json: bool,
    output: Path | None,
    limit: int | None,
) -> None:
    """Run SQL over the tables you have pulled.

    It needs no server. Your own tables in user/duckdb/user.duckdb are there as "user".

    Examples:

    \b
        agnes query "SELECT count(*) FROM orders"
        agnes query "SELECT * FROM orders" --json --limit 5
        agnes query --file report.sql -o report.parquet
    """
    text = _statement(statement, sql, sql_file, from_stdin=from_stdin)
    shape = _shape(format_, output, as_json=as_json)
    if limit is None:
        limit = 0 if output is not None or shape == "parquet" else _DEFAULT_LIMIT
    here = workspace.find()
    with local.connect(here, note=_note) as connection, _explained(here, connection):
        relation = connection.sql(text)
        if relation is None:
            _note("Done; the statement returns no rows.")
            return
        _print(relation, shape=shape, output=output, limit=limit)


def _statement(
    statement: str | None, sql: str | None, sql_file: Path | None, *, from_stdin: bool
) -> str:
    if [statement is not None, sql is not None, sql_file is not None, from_stdin].count(True) != 1:
        raise UsageError(
            "Give one statement: as an argument, or with --sql, --file or --stdin.",
            hint='For example: agnes query "SELECT 1"',
        )
    if statement is not None and re.fullmatch(r"-\S+", statement):
        raise UsageError(f"There is no option {statement}.")
    text = statement or sql or ""
    if sql_file is not None:
        try:
            text = sql_file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"Cannot read {sql_file}: {error}") from error
    if from_stdin:
        text = _unwrapped(sys.stdin.read())
    if not text.strip():
        raise UsageError("The statement is empty.")
    return text


def _unwrapped(text: str) -> str:
    """Return the SQL in ``{"sql": ...}``, or the text itself."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return str(json.loads(text)["sql"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError('Standard input must be SQL or {"sql": "..."}.') from error


def _shape(format_: str | None, output: Path | None, *, as_json: bool) -> str:
    if as_json and format_ not in (None, "json"):
        raise UsageError(f"--json and --format {format_} cannot go together.")
    ending = output.suffix.lstrip(".").lower() if output is not None else ""
    shape = "json" if as_json else format_ or (ending if ending in _FORMATS else "table")
    if shape == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("Parquet cannot be shown on a terminal.", hint="Add -o FILE.parquet")
    return shape


@contextlib.contextmanager
def _explained(here: workspace.Workspace, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except duckdb.Error as error:
        raise local.explain(here, connection, error) from error
    except (OverflowError, ValueError) as error:
        # Inside lists and structs Python's dates and intervals are narrower than DuckDB's.
        hint = "Cast the column to VARCHAR in the statement."
        raise CliError(f"A value of the result cannot be shown: {error}", hint=hint) from error


def _print(
    relation: duckdb.DuckDBPyRelation, *, shape: str, output: Path | None, limit: int
) -> None:
    if shape == "parquet":
        with _beside(output) as path:
            results.write_parquet(relation.limit(limit) if limit else relation, path)
        return
    write = {"json": results.write_json, "csv": results.write_csv}.get(shape, results.write_table)
    rows = results.Rows(relation, limit=limit)
    if output is None:
        write(rows, sys.stdout)
    else:
        with _beside(output) as path, path.open("w", encoding="utf-8", newline="") as file:
            write(rows, file)
    if rows.is_cut:
        _note(f"Only the first {limit} rows are shown; there are more (--limit 0 shows all).")


@contextlib.contextmanager
def _beside(output: Path | None) -> Iterator[Path]:
    """Yield a path to write; what is whole then goes to ``output`` or to stdout."""
    parent = output.parent if output is not None else None
    if parent is not None and not parent.is_dir():
        raise UsageError(f"There is no folder {parent}.")
    with tempfile.TemporaryDirectory(dir=parent, prefix=".agnes-") as folder:
        path = Path(folder) / "result"
        yield path
        if output is not None:
            path.replace(output)
            return
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def _note(message: str) -> None:
    click.echo(message, err=True)
