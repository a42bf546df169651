"""Asking a source something while a person waits: is it reachable, what does it offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from access.models import User
from agnes_site.core.errors import AgnesError
from agnes_site.core.progress import silent
from catalog.models import Source, Table, TableName
from catalog.services import registry, secrets
from extracts.engine import process
from extracts.services import scanning
from extracts.services.arguments import source_arguments

_PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A table that a source offers; ``registered_as`` names the table it is already."""

    spec: Mapping[str, Any]
    registered_as: str = ""
    name_is_taken: bool = False


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A table that could not be registered, and why."""

    name: str
    error: AgnesError


def test_connection(source: Source) -> str:
    """Try the connection of a source and return what was found, in a sentence.

    Raises:
        AgnesError: it does not work; the message says why.
    """
    answer = process.run(
        process.Job(
            function="extracts.connectors.work:test",
            arguments=source_arguments(source),
            secrets=secrets.secrets_of(source),
            memory_bytes=settings.CONFIG.run_memory_bytes,
            timeout_seconds=_PATIENCE_SECONDS,
        ),
        progress=silent,
    )
    return str(answer["message"])


def offers(source: Source) -> list[Offer]:
    """Return what a source offers, and which of it is registered already.

    Raises:
        AgnesError: the source could not be asked.
    """
    specs = scanning.discover(source, progress=silent)
    known = {
        (table.bucket, table.source_table): table.name
        for table in source.tables.only("bucket", "source_table", "name")
    }
    lowered = [spec["name"].lower() for spec in specs]
    taken = {name.lower() for name in TableName.objects.values_list("name", flat=True)} & set(
        lowered
    )
    return [
        Offer(
            spec=spec,
            registered_as=known.get((spec["bucket"], spec["source_table"]), ""),
            name_is_taken=spec["name"].lower() in taken,
        )
        for spec in specs
    ]


def register_offers(
    *, source: Source, wanted: Sequence[str], by: User | None
) -> tuple[list[Table], list[Refused]]:
    """Register the offered tables whose upstream ids are ``wanted``; the others stay offered.

    Raises:
        AgnesError: the source could not be asked.
    """
    made, refused = [], []
    chosen = set(wanted)
    for offer in offers(source):
        spec = offer.spec
        if spec["upstream_id"] not in chosen or offer.registered_as:
            continue
        try:
            table = registry.register_table(
                source=source, name=spec["name"], by=by, bucket=spec["bucket"],
                source_table=spec["source_table"], description=spec["description"],
                primary_key=list(spec["primary_key"]), options=dict(spec["options"]),
            )  # fmt: skip
        except AgnesError as error:
            refused.append(Refused(name=spec["name"], error=error))
        else:
            made.append(table)
    return made, refused
