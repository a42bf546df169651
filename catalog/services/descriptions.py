"""What people write about columns."""

from __future__ import annotations

from django.db import transaction

from access.models import User
from access.services import audit
from catalog.models import Column, Table
from catalog.models.table import DescriptionSource


@transaction.atomic
def describe_column(*, column: Column, description: str, by: User | None) -> None:
    """Describe a column; when this is emptied, what its source says of it counts again."""
    before = Column.objects.values_list("description", flat=True).get(pk=column.pk)
    column.description = description.strip()
    column.description_source = DescriptionSource.ADMIN
    if not column.description:
        column.description = said_by_source(column.table).get(column.name, "")
        found = bool(column.description)
        column.description_source = DescriptionSource.SOURCE if found else DescriptionSource.NONE
    if column.description == before:
        return
    column.save(update_fields=["description", "description_source"])
    audit.record(
        action="column.describe", resource=f"table/{column.table.name}", actor=by,
        before={column.name: before}, after={column.name: column.description},
    )  # fmt: skip


def said_by_source(table: Table) -> dict[str, str]:
    """Return what the source said of the columns of the current version, where it did."""
    version = table.current_version
    columns = version.schema if version is not None else []
    return {
        column["name"]: column["description"] for column in columns if column.get("description")
    }
