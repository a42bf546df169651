"""Getting a token from the user and asking the server whether it is good."""

from __future__ import annotations

import contextlib
import sys

import click

from analyst_cli import settings
from analyst_cli.client import AgnesClient
from analyst_cli.errors import ApiError, UsageError


def ask_server() -> str:
    """Ask for the address of the server.

    Raises:
        UsageError: nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise UsageError("No server is configured.", hint="Add --server https://agnes.example.com")
    answer: str = click.prompt("Server", err=True)
    return answer


def read_token(*, is_piped: bool) -> str:
    """Return the token: piped, or typed without being shown.

    Raises:
        UsageError: what came is not a token.
    """
    if is_piped or not sys.stdin.isatty():
        return settings.checked_token(sys.stdin.read(100_000))
    return settings.checked_token(click.prompt("Token", hide_input=True, err=True))


def verify(*, server: str, token: str) -> str:
    """Return the e-mail address behind a token, or an empty text if the server does not tell.

    Raises:
        NotSignedInError: the server does not accept the token.
        CliError: the server cannot be asked.
    """
    with contextlib.closing(AgnesClient(server=server, token=token)) as client:
        client.get_json("/api/catalog/tables")
        try:
            return str(client.get_json("/api/me").get("email") or "")
        except ApiError as error:
            if error.status == 404:
                return ""
            raise
