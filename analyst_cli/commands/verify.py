"""`agnes verify`: whether the pulled files are still what the server promised."""

from __future__ import annotations

import contextlib
import json

import click

from analyst_cli import output, settings, workspace
from analyst_cli.client import AgnesClient
from analyst_cli.commands.pull import show_problems
from analyst_cli.errors import EXIT_FAILED
from analyst_cli.pull import run
from analyst_cli.pull.progress import reporter
from analyst_cli.pull.result import Request, Result
from analyst_cli.verification import CheckedFile, check
from analyst_cli.workspace import Workspace


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--repair", is_flag=True, help="Download again what is missing or damaged.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(tables: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Read the pulled files and compare their hashes.

    Unlike `agnes status` it trusts neither size nor time, so it notices what a disk has damaged.
    It exits with 1 when a file is missing or damaged and stays so; the next `agnes pull` brings
    it again, and --repair does so at once.

    Examples:

    \b
        agnes verify
        agnes verify orders --repair
        agnes verify --json | jq '.files[] | select(.state != "ok")'
    """
    here = workspace.find()
    checked = check(here, names=tables, note=lambda line: click.echo(line, err=True))
    bad = [file for file in checked if file.is_bad]
    pulled = _repair(here, bad, is_quiet=as_json) if repair and bad else None
    errors = pulled.errors if pulled else []
    if as_json:
        found = {
            "files": [file.as_json() for file in checked],
            "bad": len(bad),
            "repaired": pulled is not None and not errors,
            "errors": [problem.as_json() for problem in errors],
        }
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(checked, bad)
    show_problems(errors)
    if bad and pulled is None:
        click.echo("hint: Run `agnes pull`: it brings them again.", err=True)
    if errors or (bad and pulled is None):
        raise click.exceptions.Exit(EXIT_FAILED)


def _repair(here: Workspace, bad: list[CheckedFile], *, is_quiet: bool) -> Result:
    credentials = settings.credentials()
    request = Request(tables=sorted({file.table for file in bad}))
    client = AgnesClient(server=credentials.server, token=credentials.token)
    with contextlib.closing(client), reporter(is_quiet=is_quiet) as progress:
        return run.pull(here, client, request=request, reporter=progress)


def _show(checked: list[CheckedFile], bad: list[CheckedFile]) -> None:
    rows = [[file.path, output.human_bytes(file.bytes), file.state] for file in checked]
    if rows:
        click.echo(output.table(["FILE", "SIZE", "STATE"], rows))
    for file in bad:
        click.echo(f"Error: {file.path} is {file.state}.", err=True)
    size = output.human_bytes(sum(file.bytes for file in checked))
    click.echo(f"Read {len(checked)} files, {size}: {len(bad)} missing or damaged.", err=True)
