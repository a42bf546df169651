"""Access tokens: made, recognised, revoked.

Format: ``agn_<kind>_<30 characters of base 62><6 characters: CRC-32 of all before, base 62>``.
The checksum lets a mistyped or invented token be refused without a look into the database,
and lets scanners of leaked secrets recognise one. Only the SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import OperationalError, transaction
from django.utils import timezone

from access.models import AccessToken, TokenKind, User
from access.services import audit, stamps
from agnes_site.core.errors import InvalidInputError

logger = structlog.get_logger(__name__)

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH, _CHECK_LENGTH = 30, 6
_FLUSH_SECONDS = 30.0


class TokenExpiryError(InvalidInputError):
    """A token cannot be made to expire in the past."""

    code = "token_expiry_invalid"
    hint = "Choose a time in the future, or none."


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token just made: ``secret`` is shown once and never again."""

    token: AccessToken
    secret: str = field(repr=False)


@transaction.atomic
def create(
    *,
    user: User,
    name: str,
    by: User | None,
    kind: TokenKind = TokenKind.PAT,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = (),
    only: Sequence[str] = (),
) -> NewToken:
    """Make a token for ``user``; the answer holds its secret, which is kept nowhere.

    Raises:
        TokenExpiryError: ``expires_at`` has passed.
    """
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenExpiryError("The token would have expired already.")
    secret = generate(kind)
    token = AccessToken.objects.create(
        user=user,
        kind=kind,
        name=name,
        hash=hash_of(secret),
        prefix=secret[:12],
        last4=secret[-4:],
        scopes=list(scopes),
        only=list(only),
        expires_at=expires_at,
    )
    audit.record(
        action="token.create", resource=f"token/{token.pk}", actor=by, after={"name": name}
    )
    return NewToken(token=token, secret=secret)


@transaction.atomic
def revoke(*, token: AccessToken, by: User | None) -> None:
    """End a token at once; a token that ended before stays as it is."""
    now = timezone.now()
    if AccessToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now):
        stamps.move_user(token.user)
        audit.record(action="token.revoke", resource=f"token/{token.pk}", actor=by)
    token.refresh_from_db()


def generate(kind: TokenKind) -> str:
    """Return a new secret of the given kind."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    body = f"agn_{kind.value}_{random}"
    return body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Say whether ``secret`` has the format and checksum of a token."""
    kinds = tuple(f"agn_{kind}_" for kind in TokenKind.values)
    length = len("agn_pat_") + _RANDOM_LENGTH + _CHECK_LENGTH
    if len(secret) != length or not secret.isascii() or not secret.startswith(kinds):
        return False
    body, check = secret[:-_CHECK_LENGTH], secret[-_CHECK_LENGTH:]
    return secrets.compare_digest(_checksum(body), check)


def hash_of(secret: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class _Uses:
    """Remembers when tokens were used and writes that down now and then, not on each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, tuple[datetime, str | None]] = {}
        self._flushed = time.monotonic()

    def note(self, token_hash: str, ip: str | None) -> None:
        with self._lock:
            self._pending[token_hash] = (timezone.now(), ip)
            if time.monotonic() - self._flushed < _FLUSH_SECONDS:
                return
            self._flushed = time.monotonic()
        try:
            self.flush()
        except OperationalError:
            # Nobody is refused because the time of their last visit could not be written down.
            logger.warning("The uses of tokens could not be written down", exc_info=True)

    def flush(self) -> None:
        """Write down what is still pending."""
        with self._lock:
            pending, self._pending = self._pending, {}
        self._write(pending)

    def _write(self, pending: dict[str, tuple[datetime, str | None]]) -> None:
        tokens = AccessToken.objects.filter(hash__in=pending)
        for token in tokens:
            token.last_used_at, token.last_used_ip = pending[token.hash]
        AccessToken.objects.bulk_update(tokens, ["last_used_at", "last_used_ip"], batch_size=500)


uses = _Uses()
