"""`agnes auth`: which server, as whom."""

from __future__ import annotations

import json

import click

from analyst_cli import settings, signin
from analyst_cli.errors import NotSignedInError


@click.group()
def auth() -> None:
    """Sign in to a server and out of it.

    Examples:

    \b
        agnes auth login --server https://agnes.example.com
        agnes auth status
    """


@auth.command()
@click.option("--server", default="", help="Address of the server, if not the stored one.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
def login(server: str, token_stdin: bool) -> None:
    """Store a token after the server has accepted it.

    Examples:

    \b
        agnes auth login --server https://agnes.example.com
        agnes auth login --token-stdin < token.txt
    """
    address = settings.checked_server(server or settings.server() or signin.ask_server())
    token = signin.read_token(is_piped=token_stdin)
    email = signin.verify(server=address, token=token)
    settings.save(server=address, token=token, email=email)
    click.echo(f"Signed in to {address}" + (f" as {email}." if email else "."), err=True)


@auth.command()
def logout() -> None:
    """Forget the stored token.

    Examples:

    \b
        agnes auth logout
    """
    was_there = settings.forget_token()
    click.echo("Signed out." if was_there else "You were not signed in.", err=True)


@auth.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show the server and the account that are in force.

    Examples:

    \b
        agnes auth status
        agnes auth status --json | jq -r .email
    """
    credentials = settings.credentials()
    try:
        email = signin.verify(server=credentials.server, token=credentials.token)
    except NotSignedInError as error:
        raise NotSignedInError(error.message, hint="The token was revoked or has expired: "
                               "run `agnes auth login` with a new one.") from error  # fmt: skip
    email = email or credentials.email
    if as_json:
        click.echo(json.dumps({"server": credentials.server, "email": email, "signed_in": True}))
    else:
        click.echo(f"Signed in to {credentials.server}" + (f" as {email}." if email else "."))


auth.add_command(status, name="whoami")
