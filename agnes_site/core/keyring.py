"""The keys that secrets are encrypted with: made, read, added to and dropped.

The newest key encrypts, all of them decrypt. They are kept in a file for its owner only, or given
by the environment where several hosts share a database; they are read anew for each use, so that
a rotation holds for every process at once.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agnes_site.core.errors import ConfigurationError, ConflictError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import locked, write_private

_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeysUnusableError(ConfigurationError):
    """The keys of the secrets cannot be read or written as they are configured."""

    code = "secret_keys_unusable"
    hint = "Each key is 32 random bytes in base64, as `openssl rand -base64 32` prints them."


class SecretUnreadableError(ConflictError):
    """A stored secret cannot be decrypted: its key is gone, or it was altered."""

    code = "secret_unreadable"
    hint = "Bring the key back from a backup (state/keys/secrets), or type the secret again."


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An encrypted text, and which key opens it."""

    key_id: str
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class _Key:
    value: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(b"agnes-secret-key:" + self.value).hexdigest()[:12]


class KeyRing:
    """The keys of an installation, the newest first."""

    def __init__(self, *, file: Path, given: str = "") -> None:
        self.file = file
        self._given = given

    @property
    def is_given(self) -> bool:
        """Whether the keys come from the environment, where only the operator changes them."""
        return bool(self._given)

    def ids(self) -> list[str]:
        """Return the ids of the keys, that of the newest first."""
        return [key.id for key in self._keys()]

    def seal(self, text: str, *, bound_to: str) -> Sealed:
        """Encrypt ``text`` with the newest key; only who knows ``bound_to`` too can open it.

        Raises:
            KeysUnusableError: the keys cannot be read, or none can be made.
        """
        keys = self._keys() or self._made_first()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(keys[0].value).encrypt(nonce, text.encode(), bound_to.encode())
        return Sealed(key_id=keys[0].id, ciphertext=nonce + sealed)

    def open(self, sealed: Sealed, *, bound_to: str) -> str:
        """Return the text that was encrypted for ``bound_to``.

        Raises:
            SecretUnreadableError: the key is not here, or it was sealed for something else.
            KeysUnusableError: the keys cannot be read.
        """
        found = next((key for key in self._keys() if key.id == sealed.key_id), None)
        if found is None:
            raise SecretUnreadableError(f"The key {sealed.key_id} of a secret is not here.")
        nonce, content = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        try:
            return AESGCM(found.value).decrypt(nonce, content, bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadableError("A secret was altered, or belongs elsewhere.") from None

    def add(self) -> str:
        """Make a new key, which encrypts from now on, and return its id.

        Raises:
            KeysUnusableError: the keys are not ours to write.
        """
        with self._writing():
            key = _Key(secrets.token_bytes(_KEY_BYTES))
            self._write([key, *self._keys()])
        return key.id

    def drop(self, ids: Collection[str]) -> None:
        """Forget the keys with these ids: what is still encrypted with them is lost.

        Raises:
            KeysUnusableError: the keys are not ours to write.
        """
        with self._writing():
            self._write(key for key in self._keys() if key.id not in ids)

    def _made_first(self) -> list[_Key]:
        with self._writing():
            keys = self._keys()
            if not keys:
                keys = [_Key(secrets.token_bytes(_KEY_BYTES))]
                self._write(keys)
                failpoint("secrets.key_made")
        return keys

    def _keys(self) -> list[_Key]:
        if self._given:
            return [_key(text, "AGNES_SECRETS_KEYS") for text in self._given.split(",")]
        try:
            lines = self.file.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise KeysUnusableError(f"{self.file} cannot be read.") from error
        return [_key(line, str(self.file)) for line in lines]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._given:
            raise KeysUnusableError(
                "The keys are given by AGNES_SECRETS_KEYS, which only the operator changes.",
                hint="Put a new key before the others there, and restart the server.",
            )
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.file.parent):
                yield
        except OSError as error:
            raise KeysUnusableError(
                f"{self.file} cannot be written.", hint="Look at the rights of its folder."
            ) from error

    def _write(self, keys: Iterable[_Key]) -> None:
        content = "".join(f"{base64.b64encode(key.value).decode()}\n" for key in keys)
        write_private(self.file, content.encode())


def _key(text: str, place: str) -> _Key:
    try:
        value = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        value = b""
    if len(value) != _KEY_BYTES:
        raise KeysUnusableError(f"{place} holds something that is not a key.")
    return _Key(value)
