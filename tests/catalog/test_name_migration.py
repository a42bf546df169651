"""Names that were told apart by the signs they are written with, brought up to date."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from catalog.models import TableName


def _migrate(name: str):
    executor = MigrationExecutor(connection)
    executor.migrate([("catalog", name)])
    return executor.loader.project_state([("catalog", name)]).apps


@pytest.fixture
def before(transactional_db):
    """The models before names were folded; the database is as now again at the end."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("catalog")[0][1]
    yield _migrate("0005_incident_damaged")
    _migrate(latest)


@pytest.mark.hostile(16)
def test_of_twins_the_first_keeps_its_alias(before):
    source = before.get_model("catalog", "Source").objects.create(slug="shop", source_type="files")
    names = before.get_model("catalog", "TableName").objects
    for slug, alias in [("zakaznici", "Zákazníci"), ("zakaznici_2", "Za\u0301kazni\u0301ci")]:
        table = before.get_model("catalog", "Table").objects.create(name=slug, source=source)
        names.create(table=table, name=slug, is_alias=False)
        names.create(table=table, name=alias)

    _migrate("0006_table_name_folded")

    found = TableName.objects.order_by("folded").values_list("folded", "table__name")
    assert list(found) == [
        ("zakaznici", "zakaznici"), ("zakaznici_2", "zakaznici_2"), ("zákazníci", "zakaznici"),
    ]  # fmt: skip
