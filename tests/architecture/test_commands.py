"""Every command of `agnes` shows how it is used, with examples that would run."""

from __future__ import annotations

import ast
import re
import shlex

import click
import pytest

from agnes_site.web.reference import cli
from tests.architecture.conftest import ROOT

COMMANDS = {
    path: (command, context)
    for path, command, context in cli.commands(cli.root())
    if not isinstance(command, click.Group) or command.invoke_without_command
}
_END = re.compile(r"\s(?:[|><;&]|2>)")


def examples(context: click.Context) -> list[str]:
    """The lines below "Examples:" in the help of a command."""
    _, _, below = context.command.get_help(context).partition("Examples:")
    lines = below.partition("\nOptions:")[0].splitlines()
    return [line.strip() for line in lines if "agnes " in line or line.strip() == "agnes"]


@pytest.mark.parametrize("path", COMMANDS)
class TestEachCommand:
    def test_says_what_it_does_in_a_sentence(self, path):
        command, _ = COMMANDS[path]

        assert re.match(r"[A-Z][a-z]+ .*\.", command.help or "")

    def test_shows_an_example(self, path):
        _, context = COMMANDS[path]

        assert any(f"{path} " in f"{line} " for line in examples(context))

    def test_shows_options_that_exist(self, path):
        for line in examples(COMMANDS[path][1]):
            start = line.index("agnes")
            words = shlex.split(_END.split(line[start:])[0], comments=True)
            known = _options(words[1:])

            given = [word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)]
            assert [word for word in given if word not in known] == [], line

    def test_explains_its_options(self, path):
        command, _ = COMMANDS[path]
        silent = [
            option.name
            for option in command.params
            if isinstance(option, click.Option) and not option.help and not option.hidden
        ]

        assert silent == []


class TestAgnes:
    def test_has_the_commands_of_an_analysts_day(self):
        wanted = {"agnes auth login", "agnes init", "agnes pull", "agnes query", "agnes catalog"}

        assert wanted <= set(COMMANDS)


class TestEnvironment:
    def test_is_described_on_the_page_of_commands(self):
        module = ast.parse((ROOT / "analyst_cli" / "environment.py").read_text(encoding="utf-8"))
        read = {
            node.value
            for node in ast.walk(module)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"AGNES_[A-Z_]+", node.value)
        }

        assert set(cli.ENVIRONMENT) == read - {"AGNES_FAILPOINT"}  # for tests only


def _options(words: list[str]) -> set[str]:
    """Return the options of the command that ``words`` call."""
    command: click.Command = cli.root()
    context = click.Context(command, info_name="agnes")
    known = {"--help", "-h"}
    for word in words:
        known |= {name for option in command.params for name in option.opts + option.secondary_opts}
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            continue
        command, context = found, click.Context(found, info_name=word, parent=context)
    return known | {name for option in command.params for name in option.opts}
