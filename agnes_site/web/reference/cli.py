"""Every command of ``agnes``, as its own help describes it.

The server does not import the client: the command is found by its installed entry point.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points

import click

from agnes_site.web.reference import markdown

_WIDTH = 96

_INTRODUCTION = """\
Results go to the standard output, everything else to the standard error. Exit codes: 0 done,
1 failed, 2 wrong usage or a client too old for the server, 4 not signed in, 5 the server failed,
8 not there or not yours, 130 interrupted."""

ENVIRONMENT = {
    "AGNES_SERVER": "Address of the server, in place of the stored one.",
    "AGNES_TOKEN": "Token to sign in with, in place of the stored one.",
    "AGNES_CONFIG_DIR": "Folder of the stored address and token.",
    "AGNES_LOCAL_DIR": "Folder of the workspace, in place of the one you are in.",
    "AGNES_PULL_PARALLELISM": "Files that a pull downloads at the same time, from 1 to 16: 4.",
    "AGNES_STREAM_RETRIES": "Times that a broken download is tried again, at most 20: 3.",
    "AGNES_LOCK_TIMEOUT": "Seconds that a pull waits for another one of the workspace: 600.",
}


def root() -> click.Group:
    """Return the root command of the installed ``agnes``."""
    (entry,) = entry_points(group="console_scripts", name="agnes")
    module = import_module(entry.module)
    return next(value for value in vars(module).values() if isinstance(value, click.Group))


def commands(
    command: click.Command, *, name: str = "agnes", parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield a command and all below it: full name, the command, a context to ask for help in.

    A second name of a command is left out.
    """
    widths = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(
        command, info_name=name, parent=parent, **{**command.context_settings, **widths}
    )
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and found.name == below and not found.hidden:
                yield from commands(found, name=below, parent=context)


def page(command: click.Group) -> str:
    """Return the page: the help of each command, in the order of its names."""
    blocks = []
    for path, found, context in commands(command):
        blocks += [f"## {path}", markdown.fenced(found.get_help(context), language="text")]
    variables = [[markdown.code(name), meaning] for name, meaning in ENVIRONMENT.items()]
    return markdown.document(
        "Commands",
        _INTRODUCTION,
        *blocks,
        "## Environment",
        markdown.table(["Variable", "Meaning"], variables),
    )
