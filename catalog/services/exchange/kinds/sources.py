"""Sources, as documents hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from access.models import User
from catalog.models import Source, SourceSecret
from catalog.services import secrets, sources
from catalog.services.exchange import fields
from catalog.services.exchange.kinds.base import FieldFixedError, Key, Kind, Values, limited
from catalog.services.secrets import NewSecret


class Sources(Kind):
    """Sources with their settings; of secrets only the variables that some are read from."""

    name = "sources"
    fields = (
        fields.text("type"), fields.text("display_name"), fields.mapping("settings"),
        fields.text("schedule"), fields.flag("is_paused"), fields.number("concurrency", empty=2),
        fields.mapping("secret_variables"),
    )  # fmt: skip
    required = ("type",)

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all sources."""
        variables: dict[str, dict[str, str]] = {}
        named = SourceSecret.objects.exclude(env_name="").order_by("key")
        for slug, key, name in named.values_list("source__slug", "key", "env_name"):
            variables.setdefault(slug, {})[key] = name
        return {
            (each.slug,): {
                "type": each.source_type,
                "display_name": each.display_name,
                "settings": each.config,
                "schedule": each.schedule,
                "is_paused": each.is_paused,
                "concurrency": each.concurrency,
                "secret_variables": variables.get(each.slug, {}),
            }
            for each in limited(Source.objects.order_by("slug"), slug=only)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add a source."""
        given = dict(values)
        sources.add_source(
            slug=key[0], source_type=given.pop("type"), config=given.pop("settings", {}), by=by,
            secrets=_read_from(given.pop("secret_variables", {})), **given,
        )  # fmt: skip

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a source."""
        given = dict(values)
        if "type" in given:
            raise FieldFixedError("A source keeps its type.")
        if "settings" in given:
            given["config"] = given.pop("settings")
        source = Source.objects.get(slug__iexact=key[0])
        changes: dict[str, NewSecret] = {}
        if "secret_variables" in given:
            # What was typed stays, unless it is named.
            held = source.secrets.exclude(env_name="").values_list("key", flat=True)
            changes = dict.fromkeys(held, secrets.FORGOTTEN)
            changes |= _read_from(given.pop("secret_variables"))
        sources.change_source(source=source, by=by, secrets=changes, **given)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a source; tables that still come from it prevent that."""
        sources.remove_source(source=Source.objects.get(slug__iexact=key[0]), by=by)


def _read_from(named: Mapping[str, Any]) -> dict[str, NewSecret]:
    return {key: NewSecret(variable=str(name)) for key, name in named.items()}
