"""What commands about sources read: settings from words, secrets from a variable or a pipe."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError
from pydantic import SecretStr

from catalog import connectors
from catalog.services.secrets import NewSecret


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Let a command take settings and secrets."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a setting of the connector; JSON where it is not a plain text",
    )  # fmt: skip
    parser.add_argument(
        "--secret-stdin", metavar="KEY", help="read this secret from standard input"
    )
    parser.add_argument(
        "--secret-env", action="append", default=[], metavar="KEY=VARIABLE",
        help="store the value that this variable of the present shell has",
    )  # fmt: skip
    parser.add_argument(
        "--secret-variable", action="append", default=[], metavar="KEY=VARIABLE",
        help="let the server read this secret from its own variable each time",
    )  # fmt: skip


def settings_of(
    options: Mapping[str, Any], source_type: str, before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, NewSecret]]:
    """Return the settings, those of ``before`` among them, and the secrets that were given."""
    fields = connectors.get(source_type).config_schema.model_fields
    config = {**before, **{key: _value(text) for key, text in _pairs(options["set"])}}
    for key, text in _pairs(options["set"]):
        # A text that happens to read as a number or as JSON stays a text.
        if key in fields and fields[key].annotation is str:
            config[key] = text
    return config, _secrets(options)


def names(words: Sequence[str]) -> dict[str, str]:
    """Return which tables are wanted, with the names that they are to have (empty: as offered)."""
    return {key: name for key, _, name in (word.partition("=") for word in words)}


def types() -> Iterator[str]:
    """Yield a line for each type of source, setting and secret, and for what is broken."""
    for each in connectors.installed().values():
        if each.is_foreign:
            continue
        yield f"{each.source_type}: {each.display_name}"
        for name, info in each.config_schema.model_fields.items():
            needed = " (needed)" if info.is_required() else ""
            yield f"  --set {name}=…{needed}  {info.description or ''}"
        for key, secret in each.secret_fields.items():
            needed = " (needed)" if secret.is_required else ""
            yield f"  secret {key}{needed}  {secret.label}. {secret.description}".rstrip()
    yield from connectors.broken().values()


def missing(source_type: str, secrets: Mapping[str, NewSecret]) -> list[str]:
    """Return the labels of the secrets that a source of this type needs and was not given."""
    wanted = connectors.get(source_type).secret_fields
    return [each.label for key, each in wanted.items() if each.is_required and key not in secrets]


def _secrets(options: Mapping[str, Any]) -> dict[str, NewSecret]:
    found = {key: NewSecret(variable=name) for key, name in _pairs(options["secret_variable"])}
    for key, variable in _pairs(options["secret_env"]):
        value = os.environ.get(variable)  # noqa: TID251 (of the shell, not a setting)
        if not value:
            raise CommandError(f"The variable {variable} is not set.")
        found[key] = NewSecret(value=SecretStr(value))
    if key := options["secret_stdin"]:
        typed = getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.readline()
        found[key] = NewSecret(value=SecretStr(typed.rstrip("\n")))
    return found


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        key, is_pair, value = word.partition("=")
        if not is_pair:
            raise CommandError(f"Write KEY=VALUE, not {key!r}.")
        yield key.strip(), value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
