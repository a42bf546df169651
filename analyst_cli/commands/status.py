"""`agnes status`: what is on this laptop, without asking the server."""

from __future__ import annotations

import json

import click

from analyst_cli import output, settings, workspace
from analyst_cli.errors import EXIT_FAILED
from analyst_cli.inspection import Inspection, inspect


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show what the workspace holds.

    It exits with 1 when something is missing or damaged.

    Examples:

    \b
        agnes status
        agnes status --json | jq .problems
    """
    found = inspect(workspace.find(), server=settings.server())
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        _show(found)
    if found.problems:
        raise click.exceptions.Exit(EXIT_FAILED)


def _show(found: Inspection) -> None:
    facts = [
        ("Workspace", found.workspace),
        ("Server", found.server or "none"),
        ("Initialized", "yes" if found.initialized else "no"),
        ("Last pull", found.last_synced or "never"),
        ("Tables", str(len(found.tables))),
        ("Rows", f"{found.rows:,}"),
        ("Size", output.human_bytes(found.bytes)),
    ]
    for name, value in facts:
        click.echo(f"{name:<12} {output.cell(value)}")
    if found.tables:
        rows = [
            [table["name"], table["rows"], output.human_bytes(table["bytes"]), table["state"]]
            for table in found.tables
        ]
        click.echo("\n" + output.table(["TABLE", "ROWS", "SIZE", "STATE"], rows))
    for problem in found.problems:
        click.echo(f"Error: {problem}", err=True)
    if found.problems:
        click.echo("hint: Run `agnes pull`: it brings back what is missing.", err=True)
