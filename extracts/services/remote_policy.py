"""Which remote catalogs are attached, and with which secret.

The extract of another producer says itself how its catalog is attached. It could name a secret of
this server and an address of its own: so only extensions and variables on two lists are taken.
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from pydantic import SecretStr

from agnes_site.core import slugs, variables
from agnes_site.core.config import Config
from agnes_site.core.errors import InvalidInputError
from agnes_site.core.storage import Layout
from catalog.connectors import Attach
from catalog.models import Source
from catalog.services import secrets
from extracts.services.ownership import is_foreign

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class RemoteAttachRefusedError(InvalidInputError):
    """The extract of another producer asks for a catalog or a secret that it may not have."""

    code = "remote_attach_refused"
    hint = (
        "The operator lists what is allowed in AGNES_REMOTE_ATTACH_EXTENSIONS and "
        "AGNES_REMOTE_ATTACH_TOKEN_ENVS."
    )


def secret_for(source: Source, attach: Attach) -> SecretStr | None:
    """Return the one secret with which the catalog of a source is attached.

    Raises:
        RemoteAttachRefusedError: its producer asks for what is not allowed.
        VariableMissingError, VariableRefusedError: its variable holds nothing, or is the server's.
        SecretMissingError, SecretUnreadableError: the source lacks a secret.
    """
    if not is_foreign(source):
        return secrets.secrets_of(source).get(attach.token_name)
    _check(source, attach)
    if not attach.token_name:
        return None
    allowed = _config().remote_attach_token_envs
    return SecretStr(variables.value_of(attach.token_name, allowed=allowed))


def _check(source: Source, attach: Attach) -> None:
    if not slugs.is_slug(attach.extension):
        raise RemoteAttachRefusedError(f"{attach.extension[:64]!r} cannot name an extension.")
    if attach.extension not in _config().remote_attach_extensions:
        raise RemoteAttachRefusedError(f"The extension {attach.extension!r} is not allowed.")
    if attach.token_name and not _VARIABLE.fullmatch(attach.token_name):
        raise RemoteAttachRefusedError(f"{attach.token_name[:64]!r} cannot name a variable.")
    if attach.token_name and attach.token_name not in _config().remote_attach_token_envs:
        raise RemoteAttachRefusedError(f"The variable {attach.token_name} is not allowed.")
    layout: Layout = settings.LAYOUT
    own = (layout.extracts / source.slug).resolve()
    if attach.extension == "sqlite" and not Path(attach.url).resolve().is_relative_to(own):
        raise RemoteAttachRefusedError("A file of SQLite has to lie in the folder of the extract.")


def _config() -> Config:
    config: Config = settings.CONFIG
    return config
