"""`agnes catalog`: what there is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import click

from analyst_cli import output, settings
from analyst_cli.client import AgnesClient
from analyst_cli.names import NO_TABLES_HINT


@click.command()
@click.option("--source", help="Show only the tables of one source or type of source.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def catalog(source: str | None, as_json: bool) -> None:
    """List the tables you may read.

    Examples:

    \b
        agnes catalog
        agnes catalog --source crm --json | jq '.tables[].name'
    """
    credentials = settings.credentials()
    client = AgnesClient(server=credentials.server, token=credentials.token)
    with contextlib.closing(client):
        listed = client.get_json("/api/catalog/tables").get("tables") or []
    tables = [table for table in listed if source is None or source in _sources(table)]
    if as_json:
        click.echo(json.dumps({"tables": tables, "count": len(tables)}, ensure_ascii=False))
    elif tables:
        heads = ["NAME", "SOURCE", "MODE", "ROWS", "SIZE", "UPDATED", "DESCRIPTION"]
        rows = [_row(table) for table in tables]
        click.echo(output.table(heads, rows, width=output.terminal_width()))
    else:
        click.echo("There are no tables for you yet.", err=True)
        click.echo(f"hint: {NO_TABLES_HINT}", err=True)


def _sources(table: dict[str, Any]) -> tuple[Any, Any]:
    return table.get("source"), table.get("source_type")


def _row(table: dict[str, Any]) -> list[Any]:
    size_bytes = table.get("size_bytes")
    return [
        table.get("name") or table.get("id"),
        table.get("source") or table.get("source_type"),
        table.get("query_mode"),
        table.get("rows"),
        output.human_bytes(size_bytes) if isinstance(size_bytes, int) else None,
        str(table.get("updated") or "")[:16].replace("T", " "),
        table.get("description"),
    ]
