"""Rows for tests."""

from __future__ import annotations

import hashlib
import io

import factory
import pyarrow as pa
import pyarrow.parquet as pq
from factory.django import DjangoModelFactory

from access.models import Group, User
from catalog.connectors import ColumnSpec
from catalog.models import Source, Table, TableName
from catalog.services import versions
from catalog.services.versions import Draft, StoredPart


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda number: f"user{number}@example.com")


class GroupFactory(DjangoModelFactory):
    class Meta:
        model = Group

    name = factory.Sequence(lambda number: f"Group {number}")


class SourceFactory(DjangoModelFactory):
    class Meta:
        model = Source

    slug = factory.Sequence(lambda number: f"source_{number}")
    source_type = "files"
    config = factory.LazyFunction(lambda: {"folder": "/nowhere"})


class TableFactory(DjangoModelFactory):
    class Meta:
        model = Table
        skip_postgeneration_save = True

    name = factory.Sequence(lambda number: f"table_{number}")
    source = factory.SubFactory(SourceFactory)
    source_table = factory.LazyAttribute(lambda table: f"{table.name}.csv")

    @factory.post_generation
    def names(self, create, extracted, **options):
        TableName.objects.create(table=self, name=self.name, is_alias=False)


def stored_part(number: int = 1, *, key: str = "", size: int = 100, rows: int = 10) -> StoredPart:
    """A part as if a file were in the store."""
    return StoredPart(key=key, sha256=f"{number:064x}", md5=f"{number:032x}", bytes=size, rows=rows)


def stored_file(layout, content: bytes, *, key: str = "", rows: int = 1) -> StoredPart:
    """A part whose file is in the store."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = layout.stored(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return StoredPart(key=key, sha256=sha256, md5=md5, bytes=len(content), rows=rows)


def parquet_bytes(table: pa.Table, **options) -> bytes:
    """A real Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def publish(table: Table, *parts: StoredPart, columns=None, **options):
    """Give a table a version, as a run would."""
    draft = Draft(
        parts=parts or [stored_part()],
        columns=columns or [ColumnSpec(name="id", type="BIGINT")],
        schema_hash="0" * 64,
        **options,
    )
    table.refresh_from_db()
    version, _ = versions.commit(table=table, draft=draft, fencing=table.fencing)
    table.refresh_from_db()
    return version
