"""Folders: added, changed, removed."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from access.models import User
from access.services import audit, grants
from agnes_site.core.errors import ConflictError
from catalog.models import Folder
from catalog.services import showing


class FolderExistsError(ConflictError):
    """There is a folder with this name already."""

    code = "folder_exists"
    hint = "Choose another name."


EDITABLE = ("display_name", "description")


@transaction.atomic
def add_folder(
    *, slug: str, by: User | None, display_name: str = "", description: str = ""
) -> Folder:
    """Make a folder, which nobody has a grant on.

    Raises:
        FolderExistsError: the name is taken, in whatever case it is written.
    """
    if Folder.objects.filter(slug__iexact=slug).exists():
        raise FolderExistsError(f"There is a folder named {slug!r} already.")
    folder = Folder(slug=slug, display_name=display_name, description=description)
    folder.full_clean()
    folder.save()
    audit.record(
        action="folder.create", resource=f"folder/{slug}", actor=by,
        after=audit.snapshot(folder, EDITABLE),
    )  # fmt: skip
    return folder


@transaction.atomic
def change_folder(*, folder: Folder, by: User | None, **fields: Any) -> None:
    """Change what ``fields`` name, of :data:`EDITABLE`."""
    before = audit.snapshot(folder, EDITABLE)
    for name, value in fields.items():
        setattr(folder, name, value)
    folder.full_clean()
    folder.save(update_fields=list(fields))
    audit.record(
        action="folder.change", resource=f"folder/{folder.slug}", actor=by, before=before,
        after=audit.snapshot(folder, EDITABLE),
    )  # fmt: skip


@transaction.atomic
def remove_folder(*, folder: Folder, by: User | None) -> None:
    """Remove a folder with the grants on it; its tables stay, outside of any folder."""
    # The tables are locked before their sources and their readers' groups, as by a publish.
    tables = folder.tables.select_for_update(of=("self",)).select_related("source")
    showing.changed(*tables.order_by("pk"))
    grants.revoke_all(resource_type="folder", resource_id=folder.slug, by=by)
    before = audit.snapshot(folder, EDITABLE)
    before["tables"] = list(folder.tables.values_list("name", flat=True))
    audit.record(action="folder.delete", resource=f"folder/{folder.slug}", actor=by, before=before)
    folder.delete()
