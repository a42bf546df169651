"""The registry, as documents hold it."""

from __future__ import annotations

from typing import ClassVar

from access.models import User
from agnes_site.core import slugs
from catalog.models import Folder, Source, Table
from catalog.services import registry
from catalog.services.exchange import fields
from catalog.services.exchange.kinds.base import (
    FieldFixedError,
    Key,
    Kind,
    NameInvalidError,
    NameUnknownError,
    Values,
    limited,
)


class Tables(Kind):
    """The registry."""

    name = "tables"
    fields = (
        fields.reference("source"), fields.text("display_name"), fields.reference("folder"),
        fields.text("description"), fields.reference("owner"), fields.text("bucket"),
        fields.text("source_table"), fields.text("query_mode"), fields.text("source_query"),
        fields.mapping("options"), fields.text("sync_schedule"), fields.flag("is_paused"),
        fields.text("sync_strategy"), fields.listing("primary_key", of_text=True),
        fields.text("incremental_column"), fields.number("incremental_window_days"),
        fields.number("max_history_days"), fields.number("initial_load_chunk_days"),
        fields.text("partition_by"), fields.text("partition_granularity"),
        fields.listing("where_filters"), fields.text("drift_policy"), fields.flag("server_only"),
    )  # fmt: skip
    required = ("source",)
    _ELSEWHERE: ClassVar = {"source": "source__slug", "folder": "folder__slug",
                            "owner": "owner__email"}  # fmt: skip

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all tables."""
        names = [field.name for field in self.fields]
        columns = [self._ELSEWHERE.get(name, name) for name in names]
        those = limited(Table.objects.order_by("name"), name=only)
        rows = those.values_list("name", *columns)
        return {
            (row[0],): {
                name: ("" if value is None and name in self._ELSEWHERE else value)
                for name, value in zip(names, row[1:], strict=True)
            }
            for row in rows.iterator(chunk_size=2000)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Register a table."""
        if not slugs.is_slug(key[0]):
            raise NameInvalidError(
                f"{key[0]!r} cannot be the name of a table.",
                hint=f"Such as {slugs.slug(key[0])}, with the other name as display_name.",
            )
        source = Source.objects.filter(slug__iexact=values["source"]).first()
        if source is None:
            raise NameUnknownError(f"There is no source named {values['source']!r}.")
        given = {name: value for name, value in values.items() if name not in ("source", "folder")}
        folder = self._folder(values.get("folder", ""))
        # What is empty is left to the registry, which has defaults of its own.
        given = {name: value for name, value in given.items() if value not in ("", None)}
        given["folder"] = folder.slug if folder else ""
        if "owner" in given:
            given["owner"] = self._owner(given["owner"])
        registry.register_table(source=source, name=key[0], by=by, **given)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a table."""
        given = dict(values)
        if "source" in given:
            raise FieldFixedError("A table keeps its source.")
        if "folder" in given:
            given["folder"] = self._folder(given["folder"])
        if "owner" in given:
            given["owner"] = self._owner(given["owner"])
        registry.update_table(table=Table.objects.get(name__iexact=key[0]), by=by, **given)

    def remove(self, key: Key, by: User | None) -> None:
        """Unregister a table."""
        registry.unregister_table(table=registry.find_table(key[0]), by=by)

    def _folder(self, slug: str) -> Folder | None:
        found = Folder.objects.filter(slug__iexact=slug).first() if slug else None
        if slug and found is None:
            raise NameUnknownError(f"There is no folder named {slug!r}.")
        return found

    def _owner(self, email: str) -> User | None:
        found = User.objects.filter(email__iexact=email).first() if email else None
        if email and found is None:
            raise NameUnknownError(f"There is no user with the e-mail {email}.")
        return found
