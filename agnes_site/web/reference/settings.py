"""Every setting of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agnes_site.core.config import BASE_DIR, described
from agnes_site.core.config.known_keys import ACCEPTED_KEYS
from agnes_site.web.reference import markdown

_INTRODUCTION = """\
A value comes from the first of these places that has it:

1. the environment,
2. `instance.yaml` in the state folder, which the running system writes,
3. `instance.yaml` in `CONFIG_DIR`, which the operator writes,
4. the default below.

`python manage.py config` prints what is in force and where each value comes from. An unknown key
is an error that names the nearest known one. `${NAME}` in a value is filled in from the
environment; where that variable is not set, the whole value counts as not given. An empty
variable counts as not set. Lists are separated by commas."""

_ACCEPTED = """\
Other releases use these keys. They are accepted and have no effect; `python manage.py config`
says so for each that a file holds."""


def page() -> str:
    """Return the page: a line for each setting, then the keys without effect."""
    rows = [
        [
            markdown.code(env),
            markdown.code(yaml_key),
            "(secret)" if is_secret else markdown.code(default_text(info.default)),
            f"{info.description}{_range(info.metadata)}",
        ]
        for _, info, env, yaml_key, is_secret in described()
    ]
    return markdown.document(
        "Settings",
        _INTRODUCTION,
        markdown.table(["Environment", "instance.yaml", "Default", "Meaning"], rows),
        "## Keys without effect",
        _ACCEPTED,
        "\n".join(_without_effect()),
    )


def _without_effect() -> Iterator[str]:
    by_note: dict[str, list[str]] = {}
    for key, note in ACCEPTED_KEYS.items():
        by_note.setdefault(note, []).append(markdown.code(key))
    for note, keys in by_note.items():
        yield f"- {note[0].upper()}{note[1:]}: {', '.join(keys)}."


def default_text(value: Any) -> str:
    """Return a default as it would be written in the environment; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Path) and value.is_relative_to(BASE_DIR):
        return f"./{value.relative_to(BASE_DIR)}"
    return str(value)


def _range(rules: list[Any]) -> str:
    limits = {name: getattr(rule, name) for rule in rules for name in ("ge", "le")
              if getattr(rule, name, None) is not None}  # fmt: skip
    if "ge" in limits and "le" in limits:
        return f" From {limits['ge']} to {limits['le']}."
    return f" At least {limits['ge']}." if "ge" in limits else ""
