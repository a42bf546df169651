"""What the faces of a source show, read from its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Prefetch, Q

from agnes_site.core.storage import Layout
from catalog.connectors import Attach, QueryMode
from catalog.models import Source, Table, TableName, TablePart
from extracts.engine.contract import DataFile, ExtractTable, data_file_name
from extracts.engine.orchestrator import SourceViews, TableViews
from extracts.engine.remote_views import RemoteView
from extracts.services import remote


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One source with the tables that are to be seen, in the order of their names."""

    source: Source
    tables: Sequence[Table]
    remote: Mapping[UUID, RemoteView]
    attach: Sequence[Attach]

    @property
    def extract_tables(self) -> list[ExtractTable]:
        """What the extract folder of the source shows."""
        return [_extract_table(table, self.remote.get(table.pk)) for table in self.tables]

    @property
    def views(self) -> SourceViews:
        """What the analytics file shows of the source."""
        tables = tuple(_views(table, self.remote.get(table.pk)) for table in self.tables)
        return SourceViews(source=self.source.slug, tables=tables)


def shown(sources: Collection[Source]) -> list[Shown]:
    """Return what is to be seen of ``sources`` now."""
    tables: dict[UUID, list[Table]] = defaultdict(list)
    for table in (
        Table.objects.filter(Q(current_version__isnull=False) | Q(query_mode=QueryMode.REMOTE))
        .filter(source__in=[source.pk for source in sources])
        .select_related("current_version")
        .prefetch_related(
            Prefetch("current_version__parts", TablePart.objects.order_by("ordinal")),
            Prefetch("names", TableName.objects.filter(is_alias=True)),
        )
        .order_by("name")
    ):
        tables[table.source_id].append(table)
    looked_up = remote.views(sources)
    return [
        Shown(
            source=each,
            tables=tables[each.pk],
            remote=looked_up.get(each.pk, {}),
            attach=remote.attaches(each) if each.pk in looked_up else (),
        )
        for each in sources
    ]


def _extract_table(table: Table, remote_view: RemoteView | None) -> ExtractTable:
    layout: Layout = settings.LAYOUT
    parts, version = _parts(table), table.current_version
    return ExtractTable(
        name=table.name,
        description=table.description,
        rows=version.rows if version and parts else 0,
        size_bytes=version.bytes if version and parts else 0,
        extracted_at=version.created_at if version else table.registered_at,
        query_mode=QueryMode(table.query_mode),
        remote=remote_view,
        files=tuple(
            DataFile(
                data_file_name(
                    table=table.name, ordinal=part.ordinal, key=part.key, alone=len(parts) == 1
                ),
                layout.stored(part.sha256),
            )
            for part in parts
        ),
    )


def _views(table: Table, remote_view: RemoteView | None) -> TableViews:
    layout: Layout = settings.LAYOUT
    return TableViews(
        name=table.name,
        files=tuple(layout.stored(part.sha256) for part in _parts(table)),
        aliases=tuple(alias.name for alias in table.names.all()),
        query_mode=QueryMode(table.query_mode),
        remote=remote_view,
    )


def _parts(table: Table) -> list[TablePart]:
    if table.current_version is None or table.query_mode == QueryMode.REMOTE:
        return []
    return list(table.current_version.parts.all())
