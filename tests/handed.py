"""One secret of a source, given as its page gives several."""

from __future__ import annotations

from pydantic import SecretStr

from access.models import User
from catalog.models import Source
from catalog.services import secrets
from catalog.services.secrets import NewSecret


def set_secret(*, source: Source, key: str, value: SecretStr, by: User | None = None) -> None:
    """Keep a value."""
    secrets.change_secrets(source=source, secrets={key: NewSecret(value=value)}, by=by)


def name_variable(*, source: Source, key: str, variable: str) -> None:
    """Take the value from an environment variable each time it is needed."""
    secrets.change_secrets(source=source, secrets={key: NewSecret(variable=variable)}, by=None)
