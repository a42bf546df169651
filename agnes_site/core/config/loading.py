"""The configuration in force: environment and ``instance.yaml``, read once.

Each value comes from the first of: the environment, the overlay ``instance.yaml`` in the
state folder (written by the running system), the ``instance.yaml`` of the operator, and the
default. Nothing else in the server reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from agnes_site.core.config.fields import Config, described
from agnes_site.core.config.known_keys import ACCEPTED_KEYS
from agnes_site.core.errors import ConfigurationError

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The configuration in force, with the origin of each value and notes for the operator."""

    config: Config
    origins: Mapping[str, str]
    notes: tuple[str, ...]


@cache
def loaded() -> Loaded:
    """Read the configuration of this process, once.

    Raises:
        ConfigurationError: a value or a key cannot be used; the message names it.
    """
    return load(os.environ)


def config() -> Config:
    """Return the configuration of this process."""
    return loaded().config


def variable(name: str) -> str:
    """Return an environment variable that is no setting; empty when it is not set.

    Who asks has made sure that it may be read: see :mod:`agnes_site.core.variables`.
    """
    return os.environ.get(name, "")


def load(environ: Mapping[str, str]) -> Loaded:
    """Read a configuration from ``environ`` and the files that it points to.

    Raises:
        ConfigurationError: a value or a key cannot be used; the message names it.
    """
    from_env = {
        name: environ[env] for name, _, env, _, _ in described() if environ.get(env, "") != ""
    }
    places = _validated(
        {key: from_env[key] for key in ("data_dir", "state_dir", "config_dir") if key in from_env}
    )
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    notes: list[str] = []
    for file in (places.config_dir / "instance.yaml", places.state / "instance.yaml"):
        for key, value in _read_yaml(file, environ).items():
            name = _field_of(key, file)
            if name is None:
                notes.append(f"{file}: {key} is accepted and has no effect: {ACCEPTED_KEYS[key]}")
                continue
            values[name], origins[name] = value, f"{file}: {key}"
    for name, _, env, _, _ in described():
        if name in from_env:
            values[name], origins[name] = from_env[name], f"environment: {env}"
        origins.setdefault(name, "default")
    bind = str(values.get("bind", ""))
    if "server_url" not in values and bind.startswith(("127.", "localhost:", "[::1]:")):
        values["server_url"], origins["server_url"] = f"http://{bind}", "AGNES_BIND"
    return Loaded(config=_validated(values), origins=origins, notes=tuple(notes))


def _validated(values: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        labels = {field: (env, key) for field, _, env, key, _ in described()}
        env, key = labels[name]
        raise ConfigurationError(
            f"{env}{f' ({key})' if key else ''} cannot be used: {first['msg']}.", setting=name
        ) from None


def _field_of(key: str, file: Path) -> str | None:
    used = {yaml_key: name for name, _, _, yaml_key, _ in described() if yaml_key}
    if key in used:
        return used[key]
    if key in ACCEPTED_KEYS:
        return None
    near = get_close_matches(key, [*used, *ACCEPTED_KEYS], n=1, cutoff=0.0)
    raise ConfigurationError(
        f"{file}: there is no setting {key}; the nearest one is {near[0]}.", key=key
    )


def _read_yaml(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {str(error).splitlines()[0]}.",
            hint="Mend the file; it is left as it is, and nothing is written over it.",
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{file} must hold sections of settings.")
    return {
        key: filled
        for key, value in _leaves(document)
        if key != "config_version" and (filled := _interpolated(value, environ)) is not None
    }


def _leaves(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in ACCEPTED_KEYS:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    """Fill in ``${NAME}``; a text that names an unset variable counts as not given."""
    if isinstance(value, list):
        filled = [_interpolated(item, environ) for item in value]
        return [item for item in filled if item is not None]
    if not isinstance(value, str):
        return value
    names = _PLACEHOLDER.findall(value)
    if any(environ.get(name, "") == "" for name in names):
        return None
    return _PLACEHOLDER.sub(lambda match: environ[match.group(1)], value)
