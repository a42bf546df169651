"""The root of the command line: finds commands without importing them, and reports errors."""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from analyst_cli import VERSION
from analyst_cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, CliError

# Where each command is, and the first sentence of its help: `agnes --help` imports none of them.
COMMANDS = {
    "auth": ("analyst_cli.commands.auth:auth", "Sign in to a server and out of it."),
    "catalog": ("analyst_cli.commands.catalog:catalog", "List the tables you may read."),
    "completion": (
        "analyst_cli.commands.completion:completion",
        "Print the script that completes `agnes` in your shell.",
    ),
    "init": ("analyst_cli.commands.init:init", "Make a folder a workspace and pull your tables."),
    "pull": ("analyst_cli.commands.pull:pull", "Download what has changed on the server."),
    "query": ("analyst_cli.commands.query:query", "Run SQL over the tables you have pulled."),
    "status": ("analyst_cli.commands.status:status", "Show what the workspace holds."),
    "verify": (
        "analyst_cli.commands.verify:verify",
        "Read the pulled files and compare their hashes.",
    ),
}


class RootGroup(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; ``None`` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from what is known here."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or fail with the nearest one as a hint."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from analyst_cli.names import nearest

            near = nearest(args[0], COMMANDS)
            more = f" Did you mean `agnes {near[0]}`?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{more}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every failure becomes a line, a hint and an exit code."""
        try:
            return super().invoke(ctx)
        except CliError as error:
            report(error)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            from analyst_cli.files import explain

            _write_log(ctx)
            report(explain(error))
            ctx.exit(EXIT_FAILED)
        except Exception as error:  # noqa: BLE001 the last resort: the traceback goes to a file
            where = _write_log(ctx)
            hint = f"The details are in {where}." if where else ""
            report(CliError(f"Something unexpected happened: {error!r}", hint=hint))
            ctx.exit(EXIT_FAILED)


def report(error: CliError) -> None:
    """Write an error and its hint to stderr."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


@click.group(
    cls=RootGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, "-V", "--version", prog_name="agnes", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Bring your company's data to your laptop and your AI agent.

    Examples:

    \b
        agnes init --server https://agnes.example.com
        agnes pull
        agnes query "SELECT count(*) FROM orders"
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows a question mark instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    root(prog_name="agnes")


def _write_log(ctx: click.Context) -> str:
    """Write the traceback of the present exception to a file; return where, or nothing."""
    import traceback

    from analyst_cli import settings
    from analyst_cli.files import write_text

    path = settings.config_dir() / "last-error.log"
    try:
        write_text(path, traceback.format_exc(), mode=0o600)
    except OSError:
        return ""
    return str(path)
