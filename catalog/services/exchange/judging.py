"""What only a source can judge: the queries of materialized tables, before anything changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from agnes_site.core.errors import AgnesError, UpstreamError
from catalog import queries
from catalog.connectors import QueryMode
from catalog.models import Source, Table
from catalog.services.exchange.kinds import Key, Values


def refused_queries(
    tables: Mapping[Key, Values], *, moving: Collection[str]
) -> Iterator[tuple[Key, AgnesError]]:
    """Yield the tables whose new query their source refuses, and why. It waits for the sources.

    Those that are ``moving`` come or change with the same document, and cannot be asked yet. One
    that does not answer is not asked again.
    """
    unasked = {slug.lower() for slug in moving}
    for key, values in tables.items():
        if values.get("query_mode") != QueryMode.MATERIALIZED and not values.get("source_query"):
            continue
        table = Table.objects.select_related("source").filter(name__iexact=key[0]).first()
        source = table.source if table else _source(values.get("source", ""))
        if source is None or source.slug.lower() in unasked:
            continue
        try:
            queries.check(source=source, fields=values, table=table)
        except AgnesError as error:
            if isinstance(error, UpstreamError):
                unasked.add(source.slug.lower())
            yield key, error


def _source(slug: str) -> Source | None:
    return Source.objects.filter(slug__iexact=slug).first()
