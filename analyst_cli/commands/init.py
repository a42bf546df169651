"""`agnes init`: from an empty folder to a first query."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from analyst_cli import environment, settings, setup, signin
from analyst_cli.client import AgnesClient
from analyst_cli.commands.pull import show
from analyst_cli.errors import EXIT_FAILED
from analyst_cli.failpoints import failpoint
from analyst_cli.names import NO_TABLES_HINT
from analyst_cli.pull import run
from analyst_cli.pull.progress import reporter
from analyst_cli.pull.result import Request, Result
from analyst_cli.workspace import Workspace


@click.command()
@click.option("--server", "--server-url", default="", help="Address of the server.")
@click.option("--token", default="", help="The token; better typed or piped, see --token-stdin.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option(
    "--workspace", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="The folder; the current one if not given.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Do it again in a workspace that is complete.")
@click.option("--skip-materialize", is_flag=True, help="Leave out materialized tables.")
def init(
    server: str,
    token: str,
    token_stdin: bool,
    folder: Path | None,
    force: bool,
    skip_materialize: bool,
) -> None:
    """Make a folder a workspace and pull your tables.

    It can be run again after it was interrupted.

    Examples:

    \b
        agnes init --server https://agnes.example.com
        agnes init --server https://agnes.example.com --token-stdin < token.txt
    """
    here = Workspace((folder or Path(environment.workspace() or ".")).expanduser().resolve())
    setup.check_free(here, is_forced=force)
    address = settings.checked_server(server or settings.server() or signin.ask_server())
    secret = _token(token, is_piped=token_stdin, address=address)
    email = signin.verify(server=address, token=secret)
    settings.save(server=address, token=secret, email=email)
    failpoint("init.settings_saved")
    with contextlib.closing(AgnesClient(server=address, token=secret)) as client:
        kept = setup.write_guides(here, client)
        for path in kept:
            click.echo(f"Your {path.name.partition('.bak')[0]} is kept as {path.name}.", err=True)
        failpoint("init.files_written")
        request = Request(skip_materialized=skip_materialize)
        with reporter(is_quiet=False) as progress:
            result = run.pull(here, client, request=request, reporter=progress)
    show(result, is_quiet=False)
    setup.complete(here, server=address)
    failpoint("init.completed")
    click.echo(f"The workspace {here.root} is ready.", err=True)
    click.echo(f"Next: {_next_step(result)}", err=True)
    if result.errors:
        raise click.exceptions.Exit(EXIT_FAILED)


def _next_step(result: Result) -> str:
    if result.parquets_total or result.errors:
        return 'agnes query "SHOW TABLES"'
    return f"{NO_TABLES_HINT} Then: agnes pull"


def _token(given: str, *, is_piped: bool, address: str) -> str:
    """Return the token from the safest place that has one."""
    if given:
        click.echo(
            "Warning: a token on the command line can be seen by others and stays in the "
            "shell's history. Better: --token-stdin.", err=True,
        )  # fmt: skip
        return settings.checked_token(given)
    if not is_piped:
        stored = settings.stored_token(for_server=address)
        if stored:
            return stored
    return signin.read_token(is_piped=is_piped)
