"""`agnes pull`: the workspace as the server has it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import click

from analyst_cli import settings, workspace
from analyst_cli.client import AgnesClient
from analyst_cli.errors import EXIT_FAILED
from analyst_cli.pull import run
from analyst_cli.pull.progress import reporter
from analyst_cli.pull.result import Request, Result

if TYPE_CHECKING:
    from analyst_cli.pull.manifest import Problem


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--skip-materialize", is_flag=True, help="Leave out materialized tables.")
def pull(
    tables: tuple[str, ...], quiet: bool, as_json: bool, dry_run: bool, skip_materialize: bool
) -> None:
    """Download what has changed on the server.

    Without names it brings the tables that are required for you and those you have asked for
    before, and removes those you may not read any more.

    Examples:

    \b
        agnes pull
        agnes pull orders customers
        agnes pull --json | jq .errors
    """
    credentials = settings.credentials()
    here = workspace.find()
    request = Request(tables=tables, skip_materialized=skip_materialize)
    client = AgnesClient(server=credentials.server, token=credentials.token)
    with contextlib.closing(client):
        if dry_run:
            _preview(here, client, request, as_json=as_json)
            return
        with reporter(is_quiet=quiet or as_json) as progress:
            result = run.pull(here, client, request=request, reporter=progress)
    if as_json:
        click.echo(json.dumps(result.as_json(), ensure_ascii=False))
    show(result, is_quiet=quiet or as_json)
    if result.errors:
        raise click.exceptions.Exit(EXIT_FAILED)


def show(result: Result, *, is_quiet: bool) -> None:
    """Write what a pull did, and what went wrong, to stderr."""
    show_problems(result.errors)
    if is_quiet:
        return
    from analyst_cli.output import human_bytes

    done = f"Updated {result.tables_updated} of {result.parquets_total} files"
    if not (result.tables_updated or result.removed or result.errors):
        done = f"Up to date: {result.parquets_total} files"
    parts = [f"{done}, {result.rows_total:,} rows"]
    if result.bytes_downloaded:
        parts.append(f"{human_bytes(result.bytes_downloaded)} downloaded")
    if result.removed:
        parts.append(f"{result.removed} removed")
    if result.errors:
        parts.append(f"{len(result.errors)} failed")
    click.echo(", ".join(parts) + f" ({result.duration_s:.1f} s).", err=True)


def _preview(
    here: workspace.Workspace, client: AgnesClient, request: Request, *, as_json: bool
) -> None:
    from analyst_cli.output import human_bytes
    from analyst_cli.pull.work import preview

    plan, state, problems = preview(here, client, request=request)
    names = sorted({download.table.name for download in plan.downloads})
    if as_json:
        planned = Result(
            tables_updated=len(names),
            parquets_total=sum(len(table.paths) for table in state.tables.values()),
            rows_total=sum(table.rows for table in state.tables.values()),
            removed=len(plan.removed),
            errors=problems,
        )
        more = {
            "dry_run": True,
            "bytes_to_download": plan.bytes_to_download,
            "would_update": names,
            "would_remove": plan.removed,
        }
        click.echo(json.dumps(planned.as_json() | more, ensure_ascii=False))
        return
    show_problems(problems)
    for name in names:
        click.echo(f"would download  {name}")
    for name in plan.removed:
        click.echo(f"would remove    {name}")
    click.echo(f"{human_bytes(plan.bytes_to_download)} to download.", err=True)


def show_problems(problems: list[Problem]) -> None:
    """Write what went wrong to stderr, each with its hint."""
    for problem in problems:
        click.echo(f"Error: {problem.message}", err=True)
        if problem.hint:
            click.echo(f"hint: {problem.hint}", err=True)
