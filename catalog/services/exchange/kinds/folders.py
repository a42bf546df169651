"""Folders, as documents hold them."""

from __future__ import annotations

from access.models import User
from catalog.models import Folder
from catalog.services import folders
from catalog.services.exchange import fields
from catalog.services.exchange.kinds.base import Key, Kind, Values, limited


class Folders(Kind):
    """Folders."""

    name = "folders"
    fields = (fields.text("display_name"), fields.text("description"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all folders."""
        return {
            (each.slug,): {"display_name": each.display_name, "description": each.description}
            for each in limited(Folder.objects.order_by("slug"), slug=only)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add a folder."""
        folders.add_folder(slug=key[0], by=by, **values)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a folder."""
        folders.change_folder(folder=Folder.objects.get(slug__iexact=key[0]), by=by, **values)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a folder."""
        folders.remove_folder(folder=Folder.objects.get(slug__iexact=key[0]), by=by)
