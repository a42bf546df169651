"""Catalogs of many tables whose files nobody reads: rows of the database alone."""

from __future__ import annotations

from catalog.models import Source, Table, TableName, TablePart, TableVersion
from tests.bench.stock.people import grant_each

_SOURCES = 10


def grow(reader: str, count: int) -> None:
    """Bring the catalog to ``count`` tables of one part each, all granted to ``reader``."""
    sources = [_source(number) for number in range(_SOURCES)]
    tables = [
        Table(name=f"table_{number:05}", source=sources[number % _SOURCES])
        for number in range(Table.objects.count(), count)
    ]
    versions = [_version(table) for table in tables]
    Table.objects.bulk_create(tables, batch_size=500)
    TableName.objects.bulk_create(
        [TableName(table=table, name=table.name, is_alias=False) for table in tables],
        batch_size=500,
    )
    TableVersion.objects.bulk_create(versions, batch_size=500)
    TablePart.objects.bulk_create([_part(version) for version in versions], batch_size=500)
    for table, version in zip(tables, versions, strict=True):
        table.current_version = version
    Table.objects.bulk_update(tables, ["current_version"], batch_size=500)
    grant_each(reader, [table.name for table in tables])


def _source(number: int) -> Source:
    return Source.objects.get_or_create(
        slug=f"source_{number}", defaults={"source_type": "files", "config": {"folder": "/data"}}
    )[0]


def _version(table: Table) -> TableVersion:
    return TableVersion(
        table=table, number=1, fencing=0, rows=1000, bytes=100_000, schema=[], schema_hash="0" * 64
    )


def _part(version: TableVersion) -> TablePart:
    name = version.table.name
    return TablePart(
        version=version, ordinal=0, rows=1000, bytes=100_000,
        sha256=name.encode().hex().rjust(64, "0"), md5=name.encode().hex().rjust(32, "0"),
    )  # fmt: skip
