"""Rotating the keys that secrets of sources are encrypted with."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from access.models import User
from access.services import audit
from agnes_site.core.database import one_at_a_time
from agnes_site.core.errors import AgnesError
from agnes_site.core.failpoints import failpoint
from catalog.models import SourceSecret
from catalog.services import secrets


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What a rotation did: secrets encrypted anew, keys dropped, and what could not be read."""

    key_id: str
    renewed: int
    dropped: tuple[str, ...]
    unreadable: tuple[str, ...]


def rotate(*, by: User | None = None, keeps_old: bool = False) -> Rotation:
    """Encrypt every secret anew with a new key, and drop the keys that nothing needs any more.

    Safe to end at any moment and to repeat, and while others save secrets. Keys that come from
    the environment are neither made nor dropped: the first of them is taken.

    Raises:
        KeysUnusableError: the keys cannot be read or written.
    """
    ring = secrets.key_ring()
    key_id = ring.ids()[0] if ring.is_given else _add_key()
    failpoint("rotation.key_added")
    renewed, unreadable = 0, []
    waiting = SourceSecret.objects.filter(ciphertext__isnull=False).exclude(key_id=key_id)
    for pk in list(waiting.order_by("pk").values_list("pk", flat=True)):
        try:
            renewed += _renew(pk, key_id)
        except AgnesError as error:
            unreadable += [
                f"{kept}: {error.message}" for kept in SourceSecret.objects.filter(pk=pk)
            ]
        failpoint("rotation.secret_renewed")
    dropped = () if keeps_old or ring.is_given else _drop_unused()
    failpoint("rotation.keys_dropped")
    done = Rotation(key_id=key_id, renewed=renewed, dropped=dropped, unreadable=tuple(unreadable))
    audit.record(
        action="secrets.rotate", resource="secrets", actor=by,
        after={"key": key_id, "renewed": renewed, "dropped": list(dropped)},
    )  # fmt: skip
    return done


@transaction.atomic
def _add_key() -> str:
    one_at_a_time(secrets.WRITING)
    return secrets.key_ring().add()


@transaction.atomic
def _renew(pk: UUID, key_id: str) -> int:
    one_at_a_time(secrets.WRITING)
    kept = SourceSecret.objects.select_related("source").filter(pk=pk).first()
    if kept is None or kept.ciphertext is None or kept.key_id == key_id:
        return 0  # forgotten, or saved anew, meanwhile
    text = secrets.opened(kept, kept.source).get_secret_value()
    sealed = secrets.sealed(text, source=kept.source, key=kept.key)
    # Not by `save`: the secret itself did not change, so its date stays.
    return SourceSecret.objects.filter(pk=pk).update(
        ciphertext=sealed.ciphertext, key_id=sealed.key_id
    )


@transaction.atomic
def _drop_unused() -> tuple[str, ...]:
    one_at_a_time(secrets.WRITING)
    ring = secrets.key_ring()
    used = set(SourceSecret.objects.values_list("key_id", flat=True))
    unused = tuple(key for key in ring.ids()[1:] if key not in used)
    if unused:
        ring.drop(unused)
    return unused
