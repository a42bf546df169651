"""`agnes completion`: names after the tabulator key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from analyst_cli.errors import UsageError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes `agnes` in your shell.

    Examples:

    \b
        agnes completion bash >> ~/.bashrc
        agnes completion fish > ~/.config/fish/completions/agnes.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"There is no completion for {shell}.")
    script = kind(click.get_current_context().find_root().command, {}, "agnes", "_AGNES_COMPLETE")
    # Not source(): that starts the shell to ask for its version.
    click.echo(script.source_template % script.source_vars())
