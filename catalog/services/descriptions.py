"""What people write about columns."""

from __future__ import annotations

from django.db import transaction

from access.models import User
from access.services import audit
from catalog.models import Column
from catalog.models.table import DescriptionSource


@transaction.atomic
def describe_column(*, column: Column, description: str, by: User | None) -> None:
    """Describe a column; what its source says of it no longer matters, until this is emptied."""
    before = Column.objects.values_list("description", flat=True).get(pk=column.pk)
    column.description = description.strip()
    written = bool(column.description)
    column.description_source = DescriptionSource.ADMIN if written else DescriptionSource.NONE
    column.save(update_fields=["description", "description_source"])
    audit.record(
        action="column.describe", resource=f"table/{column.table.name}", actor=by,
        before={column.name: before}, after={column.name: column.description},
    )  # fmt: skip
