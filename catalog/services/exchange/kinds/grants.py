"""Grants, as documents hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from access.models import Grant, Group, Tier, User
from access.resources import canonical_id
from access.services import grants
from agnes_site.core.errors import InvalidInputError
from catalog.services.exchange import fields
from catalog.services.exchange.kinds.base import (
    Key,
    Kind,
    NameInvalidError,
    NameUnknownError,
    Values,
    limited,
)


class TierUnknownError(InvalidInputError):
    """A grant is either required or available."""

    code = "tier_unknown"
    hint = f"Write one of: {', '.join(Tier.values)}."


class Grants(Kind):
    """Who may read what."""

    name = "grants"
    key = ("group", "resource_type", "resource_id")
    fields = (fields.text("tier", empty=Tier.REQUIRED.value), fields.moment("expires_at"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all grants."""
        everything = Grant.objects.order_by("group__name", "resource_type", "resource_id")
        found = limited(everything, group__name=only)
        return {
            (group, resource_type, resource_id): {
                "tier": tier,
                "expires_at": expires_at.isoformat() if expires_at else None,
            }
            for group, resource_type, resource_id, tier, expires_at in found.values_list(
                "group__name", "resource_type", "resource_id", "tier", "expires_at"
            )
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Give a grant."""
        group = Group.objects.filter(name__iexact=key[0]).first()
        if group is None:
            raise NameUnknownError(f"There is no group named {key[0]!r}.")
        name = canonical_id(key[1], key[2])
        if name.lower() != key[2].lower():
            # Under another name the next import would not know the grant again.
            raise NameInvalidError(f"{key[2]!r} is granted as {name}.", hint=f"Write {name}.")
        grants.grant(
            group=group, resource_type=key[1], resource_id=name, by=by, **self._given(values)
        )

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change how and until when a grant holds."""
        held = self._held(key)
        kept = {"tier": Tier(held.tier), "expires_at": held.expires_at}
        grants.change(given=held, by=by, **{**kept, **self._given(values)})

    def remove(self, key: Key, by: User | None) -> None:
        """Take a grant away, if it did not go with its group or its resource."""
        held = self._find(key)
        if held is not None:
            grants.revoke(given=held, by=by)

    def said(self, key: Key) -> str:
        """Return who holds a grant on what."""
        return f"{key[0]} on {key[1]} {key[2]}"

    def _given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if "tier" in values:
            if values["tier"] not in Tier.values:
                raise TierUnknownError(f"{values['tier']!r} is no tier.")
            given["tier"] = Tier(values["tier"])
        if "expires_at" in values:
            given["expires_at"] = fields.as_moment(values["expires_at"])
        return given

    def _find(self, key: Key) -> Grant | None:
        return Grant.objects.filter(
            group__name__iexact=key[0], resource_type=key[1], resource_id__iexact=key[2]
        ).select_related("group").first()  # fmt: skip

    def _held(self, key: Key) -> Grant:
        held = self._find(key)
        if held is None:
            raise NameUnknownError(f"The grant of {self.said(key)} is gone.")
        return held
