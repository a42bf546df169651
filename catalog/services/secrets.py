"""Secrets of sources: written, forgotten, and handed to the child process that needs them.

Nothing here returns a value but :func:`secrets_of` and :func:`secrets_with`, which are for child
processes only. The audit says which secret changed and where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from pydantic import SecretStr, ValidationError

from access.models import User
from access.services import audit
from agnes_site.core import variables
from agnes_site.core.config import Config
from agnes_site.core.database import one_at_a_time
from agnes_site.core.errors import InvalidInputError, NotFoundError
from agnes_site.core.keyring import KeyRing, Sealed, SecretUnreadableError
from catalog import connectors
from catalog.connectors import SecretField
from catalog.models import Source, SourceSecret

# What the transactions that write secrets wait for, so that no key goes while it is in use.
WRITING = "source-secrets"
LONGEST = 64 * 1024


class SecretUnknownError(NotFoundError):
    """Sources of this type have no such secret."""

    code = "secret_unknown"
    status = 422


class SecretInvalidError(InvalidInputError):
    """The value cannot be a secret."""

    code = "secret_invalid"


class SecretElsewhereError(InvalidInputError):
    """With these settings a stored secret would go where it was not meant to go."""

    code = "secret_elsewhere"
    hint = "Type it again, if it is meant for the new place."


class SecretMissingError(InvalidInputError):
    """The source needs a secret that it was not given."""

    code = "secret_missing"
    hint = "Type it on the page of the source, or name the environment variable that holds it."


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """What becomes of a secret: a ``value`` is stored, a ``variable`` read, or it is forgotten."""

    value: SecretStr | None = None
    variable: str = ""
    is_forgotten: bool = False


FORGOTTEN = NewSecret(is_forgotten=True)


def forget_secret(*, source: Source, key: str, by: User | None) -> None:
    """Forget a secret of a source; there may be none.

    Raises:
        SecretUnknownError: sources of this type have no such secret, and this one never had.
    """
    change_secrets(source=source, secrets={key: FORGOTTEN}, by=by)


@transaction.atomic
def change_secrets(*, source: Source, secrets: Mapping[str, NewSecret], by: User | None) -> None:
    """Change the secrets that are named and no other, all of them or none.

    Raises:
        SecretUnknownError, SecretInvalidError, VariableRefusedError: a secret is not accepted.
    """
    if not secrets:
        return
    one_at_a_time(WRITING)
    for key, given in secrets.items():
        if given.is_forgotten:
            _forget(source, key, by)
        else:
            _keep(source, key, given, by)


def _keep(source: Source, key: str, given: NewSecret, by: User | None) -> None:
    check(source.source_type, {key: given})
    kept: dict[str, Any] = {"ciphertext": None, "key_id": "", "env_name": given.variable}
    if given.value is not None:
        text = given.value.get_secret_value()
        made = sealed(text, source=source, key=key)
        kept = {"ciphertext": made.ciphertext, "key_id": made.key_id, "env_name": ""}
    SourceSecret.objects.update_or_create(source=source, key=key, defaults=kept)
    after = {"key": key, "from": "stored" if given.value is not None else "environment"}
    if given.variable:
        after["variable"] = given.variable
    audit.record(
        action="source.set_secret", resource=f"source/{source.slug}", actor=by, after=after
    )


def _forget(source: Source, key: str, by: User | None) -> None:
    gone, _ = SourceSecret.objects.filter(source=source, key=key).delete()
    if gone:
        audit.record(
            action="source.forget_secret", resource=f"source/{source.slug}", actor=by,
            before={"key": key},
        )  # fmt: skip
    else:
        _field(source.source_type, key)


def check(source_type: str, secrets: Mapping[str, NewSecret]) -> None:
    """Make sure that a source of this type may be given these secrets.

    Raises:
        SecretUnknownError, SecretInvalidError, VariableRefusedError: a secret is not accepted.
    """
    for key, given in secrets.items():
        label = _field(source_type, key).label
        if given.value is not None and given.variable:
            raise SecretInvalidError(f"{label} is either typed or named, not both.")
        if given.variable:
            variables.checked(given.variable, allowed=_config().secret_variables)
        elif not given.is_forgotten:
            _check_value(label, given.value.get_secret_value() if given.value else "")


def _check_value(label: str, text: str) -> None:
    problem = _problem_of(text)
    if problem:
        raise SecretInvalidError(
            f"{label} {problem}.", hint="Type it again as the other system shows it."
        )


def _problem_of(text: str) -> str:
    if not text or "\0" in text:
        return "is empty or holds a NUL character"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "is not UTF-8"
    return "is too long" if len(text) > LONGEST else ""


def kept_secrets(source: Source) -> dict[str, SourceSecret]:
    """Return what is known of the secrets of a source, without their values, by key."""
    return {kept.key: kept for kept in SourceSecret.objects.filter(source_id=source.pk)}


def secrets_of(source: Source) -> dict[str, SecretStr]:
    """Return the secrets of a source, to be handed to the child process that needs them.

    Raises:
        SecretMissingError: one that the connector needs was not given.
        SecretUnreadableError, KeysUnusableError: one cannot be decrypted.
        VariableMissingError, VariableRefusedError: one cannot be read from the environment.
    """
    return secrets_with(source, {})


def secrets_with(source: Source, given: Mapping[str, NewSecret]) -> dict[str, SecretStr]:
    """Return the secrets of a source as they would be with those that are ``given``.

    The source need not be saved: what was typed into a form is tried before it is kept.

    Raises:
        AgnesError: as :func:`secrets_of` and :func:`check`.
    """
    check(source.source_type, given)
    saved = Source.objects.filter(pk=source.pk).values_list("config", flat=True).first()
    if saved is not None and saved != source.config:
        refuse_elsewhere(source, saved=saved, config=source.config, given=given)
    kept = kept_secrets(source)
    found = {}
    for key, wanted in connectors.get(source.source_type).secret_fields.items():
        new = given.get(key)
        value = _value(kept.get(key), source, key) if new is None else _typed(new)
        if value is not None:
            found[key] = value
        elif wanted.is_required:
            raise SecretMissingError(f"The source {source} needs a secret: {wanted.label}.")
    return found


def refuse_elsewhere(
    source: Source,
    *,
    saved: Mapping[str, Any],
    config: Mapping[str, Any],
    given: Mapping[str, NewSecret],
) -> None:
    """Refuse settings that send stored secrets to places which the ``saved`` ones do not.

    Raises:
        SecretElsewhereError: a stored secret is not among those that are ``given`` anew.
    """
    stored = source.secrets.exclude(ciphertext=None).exclude(key__in=given)
    keys = sorted(stored.values_list("key", flat=True))
    if not keys:
        return
    connector = connectors.get(source.source_type)
    try:
        known = connector.config_schema.model_validate(dict(saved))
    except ValidationError:
        before = frozenset[str]()  # an earlier release wrote them: nobody knows what they meant
    else:
        before = connector.secret_places(known)
    after = connector.secret_places(connector.config_schema.model_validate(dict(config)))
    if after - before:
        label = _field(source.source_type, keys[0]).label
        raise SecretElsewhereError(f"{label} was stored for another place.", keys=keys)


def key_ring() -> KeyRing:
    """Return the keys that secrets of sources are encrypted with."""
    file = _config().secrets_keys_file or settings.LAYOUT.state / "keys" / "secrets"
    return KeyRing(file=file, given=_config().secrets_keys)


def sealed(text: str, *, source: Source, key: str) -> Sealed:
    """Encrypt a secret for this place of this source; anywhere else it cannot be opened.

    Raises:
        KeysUnusableError: the keys cannot be read, or none can be made.
    """
    return key_ring().seal(text, bound_to=_binding(source, key))


def opened(kept: SourceSecret, source: Source) -> SecretStr:
    """Return the value of a stored secret.

    Raises:
        SecretUnreadableError, KeysUnusableError: it cannot be decrypted.
    """
    found = Sealed(key_id=kept.key_id, ciphertext=bytes(kept.ciphertext or b""))
    return SecretStr(key_ring().open(found, bound_to=_binding(source, kept.key)))


def _value(kept: SourceSecret | None, source: Source, key: str) -> SecretStr | None:
    if kept is None:
        return None
    if kept.env_name:
        return _from_variable(kept.env_name)
    try:
        return opened(kept, source)
    except SecretUnreadableError:
        # A rotation may have come between the row and the keys.
        kept.refresh_from_db()
    try:
        return opened(kept, source)
    except SecretUnreadableError as error:
        label = _field(source.source_type, key).label
        raise SecretUnreadableError(
            f"{label} of the source {source} cannot be read: {error.message}"
        ) from None


def _typed(new: NewSecret) -> SecretStr | None:
    return _from_variable(new.variable) if new.variable else new.value


def _from_variable(name: str) -> SecretStr:
    return SecretStr(variables.value_of(name, allowed=_config().secret_variables))


def _field(source_type: str, key: str) -> SecretField:
    fields = connectors.get(source_type).secret_fields
    if key not in fields:
        known = ", ".join(fields) or "none"
        raise SecretUnknownError(
            f"Sources of type {source_type!r} have no secret {key[:64]!r}.",
            hint=f"Their secrets are: {known}.",
        )
    return fields[key]


def _binding(source: Source, key: str) -> str:
    return f"source-secret/{source.pk}/{key}"


def _config() -> Config:
    config: Config = settings.CONFIG
    return config
