"""Remote tables: looked at in their source, shown as views, never copied."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.progress import Progress
from catalog import connectors
from catalog.connectors import Attach, Capability, ColumnSpec, QueryMode
from catalog.models import IncidentKind, Source, Table
from catalog.services import columns, incidents, secrets
from extracts.engine import process
from extracts.engine.remote_views import RemoteView
from extracts.models import RemoteCatalog
from extracts.services import remote_policy
from extracts.services.arguments import source_arguments, table_arguments
from extracts.services.ownership import is_foreign

_PATIENCE_SECONDS = 60
_USUALLY, _FIRST_PAUSE = timedelta(hours=1), timedelta(minutes=1)
_LONGEST = 64
logger = structlog.get_logger(__name__)


def look(source: Source, *, progress: Progress) -> list[str]:
    """Attach the catalog of a source if it is time to, and keep what was seen; say what is wrong.

    A source that cannot be reached keeps what was seen before, and is asked again later.
    """
    tables = _tables(source)
    known = RemoteCatalog.objects.filter(source=source).first() or RemoteCatalog(source=source)
    if not tables:
        if known.looked_at is not None or known.looked_for:
            known.delete()
        return []
    wanted = _fingerprint(source, tables)
    now = timezone.now()
    if not _is_time(known, wanted, now):
        return []
    progress("remote", message=f"Looking at {len(tables)} remote tables of {source.slug}.")
    try:
        seen = _ask(source, tables, progress)
    except AgnesError as error:
        # First: once the failure is kept, the next look is some time away.
        incidents.open_incident(about=source, kind=IncidentKind.UNREACHABLE, error=error)
        _keep_failure(known, wanted, now)
        unseen = [table.name for pk, table in tables.items() if str(pk) not in known.views]
        return [
            f"The remote tables of {source.slug} cannot be looked at: {error.message}",
            *(f"{name} is left out until they can." for name in unseen),
        ]
    incidents.close_incidents(about=source, kind=IncidentKind.UNREACHABLE)
    _keep(known, seen, wanted, now, tables)
    failpoint("remote.kept")
    return [f"{tables[UUID(key)].name} is left out: {why}" for key, why in seen["missing"].items()]


def due(*, now: datetime) -> list[Source]:
    """Return the sources whose remote tables it is time to look at."""
    remote = Table.objects.filter(query_mode=QueryMode.REMOTE).order_by("source__slug", "name")
    tables: dict[Source, dict[UUID, Table]] = {}
    for table in remote.select_related("source").prefetch_related("source__secrets"):
        if _is_attachable(table.source):
            tables.setdefault(table.source, {})[table.pk] = table
    known = RemoteCatalog.objects.in_bulk()
    return [
        source
        for source, its_tables in tables.items()
        if _is_time(
            known.get(source.pk) or RemoteCatalog(source=source),
            _fingerprint(source, its_tables), now,
        )
    ]  # fmt: skip


def views(sources: Collection[Source]) -> dict[UUID, dict[UUID, RemoteView]]:
    """Return what is known of remote tables, by the ids of their sources and their own."""
    known = RemoteCatalog.objects.filter(source__in=[source.pk for source in sources])
    return {
        catalog.source_id: {
            UUID(key): RemoteView(
                alias=catalog.attach["alias"],
                schema=view["schema"],
                table=view["table"],
                columns=tuple((name, kind) for name, kind in view["columns"]),
            )
            for key, view in catalog.views.items()
        }
        for catalog in known
    }


def attaches(source: Source) -> Sequence[Attach]:
    """Return how the catalog of a source is attached, with the name of a variable for its secret.

    The name is that of the variable which holds it here, or one that a reader may set.
    """
    known = RemoteCatalog.objects.filter(source=source).first()
    if known is None or not known.attach:
        return ()
    attach = Attach(**known.attach)
    kept = secrets.kept_secrets(source).get(attach.token_name)
    token = (kept.env_name or variable_of(source, attach.token_name)) if kept else ""
    return (replace(attach, token_name=token),)


def alias_of(source: Source) -> str:
    """Return the name under which the catalog of a source is attached; no other source has it."""
    alias = f"remote_{source.slug.lower()}"
    if len(alias) <= _LONGEST:
        return alias
    return f"{alias[: _LONGEST - 9]}_{hashlib.sha256(alias.encode()).hexdigest()[:8]}"


def variable_of(source: Source, key: str) -> str:
    """Return the name of a variable for a secret that is kept here, for readers to set."""
    stem = re.sub(r"[^A-Z0-9]", "_", f"AGNES_SOURCE_{source.slug}".upper())
    ending = "_" + re.sub(r"[^A-Z0-9]", "_", key.upper())
    return stem[: _LONGEST - len(ending)] + ending


def _is_time(known: RemoteCatalog, wanted: str, now: datetime) -> bool:
    return known.looked_for != wanted or known.next_look_at is None or known.next_look_at <= now


def _tables(source: Source) -> dict[UUID, Table]:
    if not _is_attachable(source):
        return {}
    found = source.tables.filter(query_mode=QueryMode.REMOTE).select_related("current_version")
    return {table.pk: table for table in found.order_by("name")}


def _is_attachable(source: Source) -> bool:
    connector = connectors.installed().get(source.source_type)
    return connector is not None and Capability.REMOTE_ATTACH in connector.capabilities


def _fingerprint(source: Source, tables: Mapping[UUID, Table]) -> str:
    """Return what changes with whatever a look depends on, and never holds a secret."""
    kept = sorted(source.secrets.all(), key=lambda secret: secret.key)
    said = [
        source.config,
        source.scan_state.get("extract") if is_foreign(source) else "",
        [[secret.key, secret.env_name, secret.changed_at.isoformat()] for secret in kept],
        [[str(pk), table.bucket, table.source_table] for pk, table in tables.items()],
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _ask(source: Source, tables: Mapping[UUID, Table], progress: Progress) -> dict[str, Any]:
    """Return how the catalog is attached, and which columns its tables have now."""
    arguments = {
        **source_arguments(source),
        "tables": {str(pk): table_arguments(table) for pk, table in tables.items()},
    }
    found = _in_child("remote_attach", arguments, {}, progress)
    said = Attach(**found["attach"])
    secret = remote_policy.secret_for(source, said)
    attach = replace(said, alias=alias_of(source))
    looking = {**arguments, "attach": asdict(attach), "places": found["places"]}
    try:
        seen = _in_child("look_at_remote", looking, {"secret": secret} if secret else {}, progress)
    except UpstreamError:
        if not is_foreign(source):
            _in_child("test", arguments, secrets.secrets_of(source), progress)  # says more
        raise
    missing = {**found["missing"], **seen["missing"]}
    return {"attach": asdict(attach), "found": seen["found"], "missing": missing}


def _in_child(
    function: str, arguments: Mapping[str, Any], given: Mapping[str, SecretStr], progress: Progress
) -> dict[str, Any]:
    found: dict[str, Any] = process.run(
        process.Job(
            function=f"extracts.connectors.work:{function}",
            arguments=arguments,
            secrets=given,
            memory_bytes=settings.CONFIG.run_memory_bytes,
            timeout_seconds=_PATIENCE_SECONDS,
        ),
        progress=progress,
    )
    return found


def _keep_failure(known: RemoteCatalog, wanted: str, now: datetime) -> None:
    known.failures += 1
    known.looked_for, known.looked_at = wanted, now
    known.next_look_at = now + min(_FIRST_PAUSE * 2 ** min(known.failures - 1, 10), _USUALLY)
    known.save()


@transaction.atomic
def _keep(
    known: RemoteCatalog, seen: Mapping[str, Any], wanted: str, now: datetime,
    tables: Mapping[UUID, Table],
) -> None:  # fmt: skip
    if (known.attach, known.views) != (seen["attach"], seen["found"]):
        Source.objects.filter(pk=known.source_id).update(stamp=uuid.uuid4())
    columns.describe(
        (tables[UUID(key)], [ColumnSpec(name=name, type=kind) for name, kind in view["columns"]])
        for key, view in seen["found"].items()
        if known.views.get(key) != view
    )
    known.attach, known.views, known.missing = seen["attach"], seen["found"], seen["missing"]
    known.looked_for, known.looked_at, known.failures = wanted, now, 0
    known.next_look_at = now + _USUALLY
    known.save()
