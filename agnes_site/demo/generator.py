"""Makes the demo company: as tables of a DuckDB connection, or as files in a folder.

What the company is made of is in ``company.sql``; this module runs it and writes its tables
in the formats in which such data usually arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click
import duckdb

from agnes_site.core.errors import InvalidInputError
from agnes_site.core.sql import quote_identifier, quote_literal

BUSINESS_START = date(2024, 1, 1)
# The first day that has not happened yet. Fixed, so that the bytes are the same on every day.
BUSINESS_END = date(2026, 11, 1)

_COMPANY = Path(__file__).with_name("company.sql")

_CSV = "FORMAT csv, HEADER"
_CSV_GZ = "FORMAT csv, HEADER, COMPRESSION gzip"
_PARQUET = "FORMAT parquet, COMPRESSION zstd"
_OPTIONS = {".csv": _CSV, ".csv.gz": _CSV_GZ, ".parquet": _PARQUET}


@dataclass(frozen=True, kw_only=True)
class GeneratedTable:
    """One table of the company and the files that hold it.

    ``pattern`` finds the files below the folder they were written to; ``primary_key`` is one
    column, ascending in time wherever its rows have a time.
    """

    name: str
    description: str
    primary_key: str
    pattern: str
    files: tuple[Path, ...]
    rows: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How one table is laid out in files; ``month_of`` names the moment that chooses its file."""

    name: str
    suffix: str
    month_of: str = ""

    @property
    def pattern(self) -> str:
        return f"{self.name}/*{self.suffix}" if self.month_of else f"{self.name}{self.suffix}"


_LAYOUTS = (
    _Layout(name="plans", suffix=".csv"),
    _Layout(name="customers", suffix=".csv"),
    _Layout(name="users", suffix=".csv.gz"),
    _Layout(name="subscriptions", suffix=".parquet"),
    _Layout(name="invoices", suffix=".parquet"),
    _Layout(name="web_sessions", suffix=".parquet"),
    _Layout(name="usage_events", suffix=".csv.gz", month_of="occurred_at"),
    _Layout(name="support_tickets", suffix=".csv.gz"),
    _Layout(name="opportunities", suffix=".csv"),
    _Layout(name="infrastructure_costs", suffix=".csv"),
)


def connect(
    *, scale: float = 1.0, seed: int = 42, until: date = BUSINESS_END
) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database in memory whose tables are the company's.

    ``scale`` 1 is about a million rows. ``until`` is the first day that has not happened yet:
    a later one adds rows and completes open ones, and leaves the rest as it was.

    Raises:
        InvalidInputError: there is no company of that scale or before that day.
    """
    company = duckdb.connect()
    fill(company, scale=scale, seed=seed, until=until)
    return company


def fill(
    company: duckdb.DuckDBPyConnection,
    *,
    scale: float = 1.0,
    seed: int = 42,
    until: date = BUSINESS_END,
) -> None:
    """Create the company's tables in an empty database; see :func:`connect`.

    Raises:
        InvalidInputError: there is no company of that scale or before that day.
    """
    if not 0 < scale <= 100:
        raise InvalidInputError("The scale must be more than 0 and at most 100.", scale=scale)
    if until <= BUSINESS_START:
        raise InvalidInputError(f"The company starts on {BUSINESS_START}.", until=str(until))
    company.execute("SET TimeZone = 'UTC'")
    company.execute("SET VARIABLE scale = ?", [scale])
    company.execute("SET VARIABLE seed = ?", [seed])
    company.execute("SET VARIABLE business_start = ?", [BUSINESS_START])
    company.execute("SET VARIABLE until = ?", [until])
    company.execute(_COMPANY.read_text(encoding="utf-8"))


def generate(
    folder: Path, *, scale: float = 1.0, seed: int = 42, until: date = BUSINESS_END
) -> tuple[GeneratedTable, ...]:
    """Write the company's tables into ``folder`` and return what was written.

    The same arguments give the same bytes. Files of an earlier company in the same folder are
    replaced, one by one and each as a whole; other files stay.

    Raises:
        InvalidInputError: there is no company of that scale or before that day.
    """
    with connect(scale=scale, seed=seed, until=until) as company:
        return tuple(_write_table(company, folder, layout) for layout in _LAYOUTS)


def _write_table(
    company: duckdb.DuckDBPyConnection, folder: Path, layout: _Layout
) -> GeneratedTable:
    primary_key = company.table(layout.name).columns[0]
    files = []
    for stem, condition in _slices(company, layout):
        path = folder / f"{stem}{layout.suffix}"
        _copy(company, layout, path, condition=condition, order=primary_key)
        files.append(path)
    for stale in set(folder.glob(layout.pattern)).difference(files):
        stale.unlink()
    return GeneratedTable(
        name=layout.name,
        description=_description(company, layout.name),
        primary_key=primary_key,
        pattern=layout.pattern,
        files=tuple(files),
        rows=len(company.table(layout.name)),
        bytes=sum(path.stat().st_size for path in files),
    )


def _slices(company: duckdb.DuckDBPyConnection, layout: _Layout) -> Iterator[tuple[str, str]]:
    """Yield the path without suffix of each file, and the condition of the rows in it."""
    if not layout.month_of:
        yield layout.name, "true"
        return
    moment = quote_identifier(layout.month_of)
    months = (
        company.table(layout.name)
        .project(f"date_trunc('month', {moment})::DATE AS month")
        .project("strftime(month, '%Y-%m'), month::TEXT, (month + to_months(1))::DATE::TEXT")
        .distinct()
        .order("ALL")
    )
    for stem, start, end in months.fetchall():
        condition = f"{moment} >= {quote_literal(start)} AND {moment} < {quote_literal(end)}"
        yield f"{layout.name}/{stem}", condition


def _copy(
    company: duckdb.DuckDBPyConnection, layout: _Layout, path: Path, *, condition: str, order: str
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = company.table(layout.name).filter(condition).order(quote_identifier(order)).sql_query()
    # Rename last: whoever reads the folder sees the old file or the new one, never half of one.
    unfinished = path.with_name(f".{path.name}.unfinished")
    company.execute(
        f"COPY ({rows}) TO {quote_literal(str(unfinished))} ({_OPTIONS[layout.suffix]})"
    )
    unfinished.replace(path)


def _description(company: duckdb.DuckDBPyConnection, name: str) -> str:
    found = company.execute("SELECT comment FROM duckdb_tables() WHERE table_name = ?", [name])
    row = found.fetchone()
    return str(row[0]) if row else ""


@click.command()
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option("--scale", default=1.0, show_default=True, help="1 is about a million rows.")
@click.option("--seed", default=42, show_default=True, help="Another seed, another company.")
@click.option("--list", "as_list", is_flag=True, help="List the tables with rows and bytes.")
def main(output: Path, scale: float, seed: int, as_list: bool) -> None:
    """Write the demo company's files into the folder OUTPUT.

    Examples:

    \b
        python -m agnes_site.demo.generator demo-data
        python -m agnes_site.demo.generator demo-data --scale 0.1 --seed 7 --list
    """
    try:
        tables = generate(output, scale=scale, seed=seed)
    except InvalidInputError as error:
        raise click.ClickException(error.message) from error
    if as_list:
        click.echo(f"{'table':<22} {'rows':>10} {'bytes':>12}  files")
        for table in tables:
            click.echo(f"{table.name:<22} {table.rows:>10} {table.bytes:>12}  {table.pattern}")
    total = sum(table.rows for table in tables)
    click.echo(f"Wrote {len(tables)} tables with {total} rows to {output}.", err=True)


if __name__ == "__main__":
    main()
